// The text of an arm, as the API takes it, and what it says in parts: `day+synthetic:0.5`, `day#500`.

const PART = /^([a-z0-9][a-z0-9-]{0,39})(?::([0-9]+(?:\.[0-9]+)?)|(#[0-9]+))?$/;

/** The share of each data by its name, or null where the text is no such recipe. */
export function read(text) {
  const recipe = text.slice(text.lastIndexOf("=") + 1);
  const parts = recipe.split(/[+,]/).map((word) => PART.exec(word.trim()));
  if (parts.some((part) => part === null)) return null;
  return new Map(parts.map(([, name, share, frames]) => [name, share ?? frames ?? "1"]));
}

/** `shares` as `read` gives them; a name in front of the former text stays. */
export function write(shares, former) {
  const equals = former.lastIndexOf("=");
  const name = equals < 0 ? "" : former.slice(0, equals + 1);
  return name + [...shares].map(([data, share]) => data + ending(share.trim())).join("+");
}

function ending(share) {
  if (share === "" || share === "1") return "";
  return share.startsWith("#") ? share : `:${share}`;
}
