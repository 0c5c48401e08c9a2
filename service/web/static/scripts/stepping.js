// The arrow keys go to the frame before and after, unless something that needs them has the focus.

const LINKS = { ArrowLeft: "a[rel=prev]", ArrowRight: "a[rel=next]" };

document.addEventListener("keydown", (event) => {
  const isTaken = event.target.closest("input:not([type=checkbox]), select, textarea, .scroll");
  if (isTaken || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  document.querySelector(LINKS[event.key] ?? "no-link")?.click();
});
