// The files of a checkpoint are sent as soon as they are chosen; the form then names what became of them.
import { Upload, forget } from "./upload.js";

const form = document.getElementById("checkpoint");
const list = form.querySelector(".files");
const button = form.querySelector("button.primary");
let uploads = [];

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function send(file) {
  const [item, name, meter, state, id] = ["li", "span", "progress", "span", "input"].map((each) => element(each));
  name.textContent = file.name;
  meter.className = "meter";
  meter.setAttribute("aria-label", `Upload of ${file.name}`);
  Object.assign(id, { type: "hidden", name: "upload_id" });
  state.textContent = "is sent";
  item.append(name, meter, state, id);
  list.append(item);
  const told = {
    moved: (sent, total) => Object.assign(meter, { max: total || 1, value: sent }),
    waits: (words) => { state.textContent = words; },
    failed: (words) => { state.textContent = words; state.className = "field-error"; },
    ended: (uploadId) => {
      id.value = uploadId;
      meter.max = meter.value = 1;
      state.textContent = "ready";
      lock();
      forget(upload.url); // it is no dataset that waits to be made
    },
  };
  const upload = new Upload(file, { endpoint: form.dataset.endpoint, pieceBytes: Number(form.dataset.pieceBytes) }, told);
  upload.start();
  return upload;
}

/** Not to be sent before all its files are there. */
function lock() {
  const ids = [...list.querySelectorAll('input[name="upload_id"]')];
  button.disabled = ids.some((each) => !each.value);
}

form.querySelector("#files").addEventListener("change", (event) => {
  uploads.forEach((each) => each.pause());
  list.replaceChildren();
  uploads = [...event.target.files].map(send);
  lock();
});
