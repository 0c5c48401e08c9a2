// Which boxes are to be seen: the checkboxes of a filter rule the boxes and the rows around it, by category.

function apply(filter) {
  const all = filter.querySelector("[data-all]");
  const boxes = [...filter.querySelectorAll("input:not([data-all])")];
  const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
  all.checked = hidden.size === 0;
  all.indeterminate = hidden.size > 0 && hidden.size < boxes.length;
  for (const each of filter.closest("[data-boxes]").querySelectorAll("[data-category]")) {
    each.toggleAttribute("hidden", hidden.has(each.dataset.category));
  }
}

const applyAll = () => document.querySelectorAll("[data-box-filter]").forEach(apply);

document.addEventListener("change", (event) => {
  const filter = event.target.closest("[data-box-filter]");
  if (!filter) return;
  if (event.target.matches("[data-all]")) {
    for (const box of filter.querySelectorAll("input")) box.checked = event.target.checked;
  }
  apply(filter);
});

// The row under the pointer shows which box it is about.
document.addEventListener("mouseover", (event) => {
  const number = event.target.closest("tr[data-number]")?.dataset.number;
  for (const drawing of document.querySelectorAll("[data-boxes] .stage .boxes")) {
    [...drawing.children].forEach((box, place) => box.classList.toggle("box-marked", String(place) === number));
  }
});

// Another frame on the same stage.
document.addEventListener("htmx:load", applyAll);
