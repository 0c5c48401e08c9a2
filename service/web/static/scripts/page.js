// What every page has: the switch between light and dark, and messages that go when something else is done.

const root = document.documentElement;

document.querySelector("[data-theme-switch]")?.addEventListener("click", () => {
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  // A part that looks after itself every second must not wipe away what somebody is still reading.
  if (event.detail.requestConfig.verb !== "get") document.getElementById("problem").replaceChildren();
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "problem") event.detail.target.scrollIntoView({ block: "center" });
});

document.addEventListener("htmx:sendError", () => {
  const message = document.createElement("div");
  message.className = "problem";
  message.textContent = "The server does not answer. Is it still running?";
  document.getElementById("problem").replaceChildren(message);
});
