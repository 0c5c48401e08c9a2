// What this browser has begun to upload and not made a dataset of: a page that was closed in mid-upload.

import { begun, forget, giveUp } from "./upload.js";
import { percent, size } from "./amounts.js";

/** Lists them. `make(uploadId, url)` is called for one that is on the server as a whole. */
export async function showUnfinished(section, make) {
  const list = section.querySelector('[data-part="unfinished-list"]');
  list.replaceChildren();
  for (const upload of await begun()) {
    const found = await look(upload.uploadUrl);
    if (found) list.append(itemOf(upload, found, section, make));
  }
  section.hidden = list.childElementCount === 0;
}

/** What the server knows of it; null if it is gone, or is not to be seen now. */
async function look(url) {
  let answer;
  try {
    answer = await fetch(new URL(url, location.href).pathname);
  } catch {
    return null;
  }
  if (answer.status === 404 || answer.status === 410) await forget(url);
  return answer.ok ? answer.json() : null;
}

function itemOf(upload, found, section, make) {
  const item = document.getElementById("unfinished-upload").content.firstElementChild.cloneNode(true);
  const isWhole = found.state === "complete";
  const share = found.size_bytes ? found.offset_bytes / found.size_bytes : 1;
  item.querySelector('[data-word="name"]').textContent = found.filename;
  item.querySelector('[data-word="state"]').textContent = isWhole
    ? `${size(found.size_bytes)}, all of it is here.`
    : `${percent(share)} of ${size(found.size_bytes)} is here. Choose or drop the same file, and it goes on from there.`;
  item.querySelector("progress").value = share;
  item.querySelector('[data-do="choose"]').hidden = isWhole;
  const button = item.querySelector('[data-do="make"]');
  button.hidden = !isWhole;
  button.addEventListener("click", () => make(found.id, upload.uploadUrl));
  item.querySelector('[data-do="forget"]').addEventListener("click", async () => {
    await giveUp(upload.uploadUrl);
    await showUnfinished(section, make);
  });
  return item;
}
