// Another dataset is another page; the sliders' numbers; pairs of a preview shown large.

document.addEventListener("input", (event) => {
  const output = document.querySelector(`output[for="${event.target.id}"]`);
  if (output) output.value = event.target.id === "strength" ? Number(event.target.value).toFixed(2) : event.target.value;
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "dataset") return;
  const ticked = new FormData(event.target.form).getAll("generator").map((name) => ["generator", name]);
  location.assign(`/translations/new?${new URLSearchParams([["dataset", event.target.value], ...ticked])}`);
});

const dialog = () => document.getElementById("pair");
const cells = () => [...document.querySelectorAll("[data-pair]")];
let shown = -1;

function show(number) {
  const all = cells();
  shown = (number + all.length) % all.length;
  const { name, source, result, generator } = all[shown].dataset;
  const side = (which) => dialog().querySelector(`[data-side="${which}"]`);
  document.getElementById("pair-name").textContent = name;
  side("generator").textContent = generator;
  side("source").src = source;
  side("result").src = result;
  side("result").alt = `Translated by ${generator}`;
  if (!dialog().open) dialog().showModal();
}

document.addEventListener("click", (event) => {
  const cell = event.target.closest("[data-pair]");
  if (cell) show(cells().indexOf(cell));
  const step = event.target.closest("#pair [data-step]");
  if (step) show(shown + Number(step.dataset.step));
});

document.addEventListener("keydown", (event) => {
  if (!dialog()?.open) return;
  if (event.key === "ArrowRight") show(shown + 1);
  if (event.key === "ArrowLeft") show(shown - 1);
});
