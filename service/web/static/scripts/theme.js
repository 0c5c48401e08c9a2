// Before the page is drawn: the theme that was chosen, if one was. Without one the system's is taken.
(() => {
  const kept = localStorage.getItem("theme");
  if (kept) document.documentElement.dataset.theme = kept;
})();
