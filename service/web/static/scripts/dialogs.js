// A button that `data-opens` shows the dialog of that id; one that `data-closes` leaves the dialog it is in.
// A form that `data-asks` opens the dialog of that id instead of being sent; the dialog has the form that is.
// Without this script the first one is sent at once.

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
  event.target.closest("[data-closes]")?.closest("dialog").close();
});

document.addEventListener("submit", (event) => {
  const dialog = document.getElementById(event.target.dataset.asks ?? "");
  if (dialog) {
    event.preventDefault();
    dialog.showModal();
  } else {
    event.target.closest("dialog[open]")?.close();
  }
});
