// A form that `data-asks` opens the dialog of that id instead of being sent; the dialog has the form that is.
// Without this script the first one is sent at once.

document.addEventListener("submit", (event) => {
  const dialog = document.getElementById(event.target.dataset.asks ?? "");
  if (dialog) {
    event.preventDefault();
    dialog.showModal();
  } else {
    event.target.closest("dialog[open]")?.close();
  }
});
