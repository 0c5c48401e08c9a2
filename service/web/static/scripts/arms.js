// Arms put together by ticking data and giving shares; their text, which is what is sent, can be written as well.

import { read, write } from "./recipes.js";

const form = document.querySelector("[data-experiment]");

function dataNames() {
  return [...form.querySelectorAll("[data-row]")]
    .filter((row) => row.querySelector("[name=data_id]").value)
    .map((row) => row.querySelector("[name=data_name]").value.trim())
    .filter(Boolean);
}

function announce() {
  form.dispatchEvent(new Event("rows"));
}

function number() {
  form.querySelectorAll("[data-arm]").forEach((arm, place) => {
    arm.querySelector("[name=arm]").setAttribute("aria-label", `Arm ${place + 1} as text`);
  });
}

/** A box and a share for each data, as the arm's text says. */
function showParts(arm) {
  const text = arm.querySelector("[name=arm]");
  const shares = read(text.value);
  const names = [...new Set([...dataNames(), ...(shares?.keys() ?? [])])];
  const isBrightened = text.value.replace(/^.*=/, "").startsWith("enhance:");
  const parts = isBrightened ? [] : names.map((name) => part(arm, name, shares?.get(name)));
  arm.querySelector("[data-parts]").replaceChildren(...parts);
}

function part(arm, name, share) {
  const [label, box, ratio] = ["label", "input", "input"].map((tag) => document.createElement(tag));
  box.type = "checkbox";
  box.checked = share !== undefined;
  ratio.type = "text";
  ratio.value = share ?? "1";
  ratio.hidden = !box.checked;
  ratio.dataset.share = name;
  ratio.autocomplete = "off";
  ratio.setAttribute("aria-label", `Share of ${name}`);
  box.dataset.data = name;
  label.append(box, name);
  const whole = document.createElement("div");
  whole.className = "arm-part";
  whole.append(label, ratio);
  box.addEventListener("change", () => {
    ratio.hidden = !box.checked;
    rewrite(arm);
  });
  ratio.addEventListener("input", () => rewrite(arm));
  return whole;
}

function rewrite(arm) {
  const ticked = [...arm.querySelectorAll("[data-data]")].filter((box) => box.checked);
  const shares = ticked.map(({ dataset }) => [dataset.data, arm.querySelector(`[data-share="${CSS.escape(dataset.data)}"]`).value]);
  const text = arm.querySelector("[name=arm]");
  text.value = write(new Map(shares), text.value);
}

function addArm(recipe) {
  const arm = form.querySelector("[data-arm-template]").content.firstElementChild.cloneNode(true);
  const text = arm.querySelector("[name=arm]");
  text.value = recipe;
  text.addEventListener("change", () => showParts(arm));
  arm.querySelector("[data-remove]").addEventListener("click", () => {
    arm.remove();
    number();
    announce();
  });
  form.querySelector("[data-arms]").append(arm);
  showParts(arm);
  number();
  return text;
}

/** The first of what a study has that is not there yet: day alone, then day with each other data. */
function nextRecipe() {
  const [first = "day", ...others] = dataNames();
  const taken = [...form.querySelectorAll("[name=arm]")].map((text) => text.value);
  const usual = [first, ...others.map((name) => `${first}+${name}`)];
  return usual.find((recipe) => !taken.includes(recipe)) ?? first;
}

function addRow() {
  const row = form.querySelector("[data-row-template]").content.firstElementChild.cloneNode(true);
  row.querySelector("[data-remove]").addEventListener("click", () => {
    row.remove();
    announce();
  });
  form.querySelector("[data-rows]").append(row);
  row.querySelector("[name=data_name]").focus();
}

function start() {
  const press = (selector, act) => {
    const button = form.querySelector(selector);
    button?.addEventListener("click", () => {
      act();
      announce();
    });
  };
  press("[data-add-arm]", () => addArm(nextRecipe()).focus());
  press("[data-add-brightened]", () => addArm(`enhance:${form.querySelector("[data-brightener]").value}`).focus());
  press("[data-add-row]", addRow);
  form.querySelector("[data-add-row]").hidden = false;
  form.querySelector("[data-arm-tools]").hidden = false;
  form.querySelector("[data-rows]").addEventListener("change", () => form.querySelectorAll("[data-arm]").forEach(showParts));
}

if (form) start();
