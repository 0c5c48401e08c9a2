// Sliders: one frame lies over another, and a range of 0 to 100 says how much of it is uncovered from the left.

const RANGE = "input[data-slider]";

function show(range) {
  const stage = range.parentElement.querySelector(".stage");
  const over = stage.querySelector(".layer-over");
  if (!over) return;
  const share = Number(range.value);
  over.style.clipPath = `inset(0 ${100 - share}% 0 0)`;
  stage.querySelector(".handle").style.left = `${share}%`;
  const words = `${Math.round(share)} % ${stage.dataset.before}, the rest ${stage.dataset.after}`;
  range.setAttribute("aria-valuetext", words);
}

const showAll = () => document.querySelectorAll(RANGE).forEach(show);

document.addEventListener("input", (event) => {
  if (event.target.matches(RANGE)) show(event.target);
});
// Another pair on the same stage.
document.addEventListener("htmx:load", showAll);
showAll();
