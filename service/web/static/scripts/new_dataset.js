// A zip dropped on the page, or chosen, is sent, and when all of it is there the form makes a dataset of it.

import { duration, size, Speed } from "./amounts.js";
import { forget, Upload } from "./upload.js";
import { showUnfinished } from "./unfinished.js";

const PAINTED_EVERY_MS = 200;

const form = document.getElementById("new-dataset");
const part = (name) => form.querySelector(`[data-part="${name}"]`);
const sending = part("sending");
const word = (name) => sending.querySelector(`[data-word="${name}"]`);
const button = (name) => sending.querySelector(`[data-do="${name}"]`);
const input = document.getElementById("file");

let upload = null;
let speed = null;
let reached = [0, 0];
let paintedAt = 0;
let madeOf = null;

/** What a state shows: its words, and which buttons make sense. */
function show(words, buttons, fault = "") {
  paint();
  word("state").textContent = words;
  word("fault").textContent = fault;
  word("fault").hidden = !fault;
  for (const name of ["pause", "resume", "make", "cancel"]) button(name).hidden = !buttons.includes(name);
}

function refuse(words) {
  const place = form.querySelector('[data-word="refusal"]');
  place.textContent = words;
  place.hidden = !words;
}

const told = {
  moved(sent, total) {
    reached = [sent, total];
    if (speed === null) {
      speed = new Speed();
      show("Sending.", ["pause", "cancel"]);
    }
    speed.add(sent);
    if (performance.now() - paintedAt > PAINTED_EVERY_MS) paint();
  },
  waits(words, seconds) {
    speed = null;
    show(`${words} Trying again in ${duration(seconds)}.`, ["pause", "cancel"]);
  },
  failed(words) {
    speed = null;
    show("Stopped.", ["resume", "cancel"], words);
  },
  ended(uploadId) {
    reached = [upload.file.size, upload.file.size];
    make(uploadId, upload.url);
  },
};

function paint() {
  paintedAt = performance.now();
  const [sent, total] = reached;
  part("meter").value = total ? sent / total : 0;
  const words = [sent < total ? `${size(sent)} of ${size(total)}` : size(total)];
  const rate = speed?.value;
  if (rate && sent < total) words.push(`${size(rate)}/s`, `${duration((total - sent) / rate)} left`);
  word("amount").textContent = words.join(" · ");
}

function make(uploadId, url) {
  form.elements.upload_id.value = uploadId;
  if (form.elements.source_uri) form.elements.source_uri.value = "";
  madeOf = url;
  show("All of it is there. It becomes a dataset.", ["make", "cancel"]);
  form.requestSubmit();
}

function begin(file) {
  refuse("");
  upload = new Upload(
    file,
    { endpoint: form.dataset.endpoint, pieceBytes: Number(form.dataset.pieceBytes) },
    told,
  );
  speed = null;
  reached = [0, file.size];
  part("drop").hidden = part("unfinished").hidden = true;
  sending.hidden = false;
  word("name").textContent = file.name;
  show("It begins.", ["pause", "cancel"]);
  button("pause").focus();
  upload.start();
}

function take(files) {
  if (upload) return refuse("One upload at a time: wait for the end of this one, or cancel it.");
  if (files.length !== 1) return refuse("One zip at a time: pack images and labels together.");
  const [file] = files;
  if (!file.name.toLowerCase().endsWith(".zip")) {
    return refuse(`${file.name} is no zip. Pack the folder with images and labels as a zip, and drop that.`);
  }
  if (file.size > Number(form.dataset.mostBytes)) {
    const most = size(Number(form.dataset.mostBytes));
    return refuse(`${file.name} has ${size(file.size)}; the server takes ${most}. Split the dataset.`);
  }
  return begin(file);
}

function reset() {
  upload = null;
  form.elements.upload_id.value = "";
  input.value = "";
  sending.hidden = true;
  part("drop").hidden = false;
  input.focus();
  return showUnfinished(part("unfinished"), make);
}

button("pause").addEventListener("click", async () => {
  await upload.pause();
  speed = null;
  show("Paused. What was sent is kept.", ["resume", "cancel"]);
  button("resume").focus();
});
button("resume").addEventListener("click", () => {
  show("It goes on.", ["pause", "cancel"]);
  button("pause").focus();
  upload.resume();
});
button("cancel").addEventListener("click", async () => {
  await upload.cancel();
  await reset();
});

input.addEventListener("change", () => {
  if (input.files.length) take([...input.files]);
});

// A drop anywhere counts, and never leaves the page for the file.
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  form.classList.add("is-over");
});
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) form.classList.remove("is-over");
});
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  form.classList.remove("is-over");
  const isFolder = [...event.dataTransfer.items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
  if (isFolder) refuse("That is a folder. Pack it as a zip, and drop that.");
  else take([...event.dataTransfer.files]);
});

// Enter in a field of the options sends nothing before there is something to make a dataset of.
form.addEventListener("htmx:beforeRequest", (event) => {
  const hasSource = form.elements.upload_id.value || form.elements.source_uri?.value.trim();
  if (!hasSource) event.preventDefault();
});
form.addEventListener("htmx:afterRequest", (event) => {
  const { status } = event.detail.xhr;
  if (status === 0 || status >= 400) {
    show("All of it is there, but it could not be made a dataset.", ["make", "cancel"]);
  }
});
// The answer leads on to the dataset; only now the browser need not remember the upload.
form.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.detail.xhr.status < 400 && madeOf) forget(madeOf);
});

showUnfinished(part("unfinished"), make);
