// The grid: how large its frames are, whether boxes are drawn, and the next ones before the last comes into sight.

const AHEAD = "1500px";
const grid = document.querySelector("[data-grid]");
const settings = document.querySelector("[data-view]");
const boxes = settings.querySelector("[data-boxes-shown]");
const size = settings.querySelector("[data-size]");

function show() {
  grid.dataset.size = size.value;
  grid.classList.toggle("without-boxes", !boxes.checked);
}

function keep() {
  localStorage.setItem("frames", JSON.stringify({ boxes: boxes.checked, size: size.value }));
  show();
}

const kept = JSON.parse(localStorage.getItem("frames") ?? "null");
if (kept) {
  boxes.checked = kept.boxes;
  size.value = kept.size;
}
settings.hidden = false;
show();
settings.addEventListener("change", keep);

const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      observer.unobserve(entry.target);
      entry.target.click();
    }
  },
  { rootMargin: AHEAD },
);

function watch(part) {
  const more = part.querySelector("[data-more]");
  if (more) observer.observe(more);
}

// Who goes on by keyboard goes on behind the last frame that was there.
let stoodOn = null;
document.addEventListener("htmx:beforeSwap", (event) => {
  const more = event.detail.target.querySelector?.(":scope > [data-more]");
  stoodOn = more && more === document.activeElement ? event.detail.target.previousElementSibling : null;
});
document.addEventListener("htmx:afterSwap", () => {
  stoodOn?.nextElementSibling?.querySelector("a")?.focus({ preventScroll: true });
  stoodOn = null;
});
document.addEventListener("htmx:load", (event) => watch(event.detail.elt));
watch(document);
