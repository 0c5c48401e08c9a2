// Parts that stay as people have set them while what is around them is sent again.

/**
 * Starts each element that fits, once. One of the same id that was sent again gives way to the one that is known,
 * and `refresh` is told, as there may be something new for it.
 */
export function keep(selector, start) {
  const known = new Map();
  const look = () => {
    for (const element of document.querySelectorAll(selector)) {
      const kept = known.get(element.id);
      if (kept === undefined) {
        known.set(element.id, { element, refresh: start(element) });
      } else {
        if (kept.element !== element) element.replaceWith(kept.element);
        kept.refresh();
      }
    }
  };
  look();
  document.addEventListener("htmx:load", look);
}
