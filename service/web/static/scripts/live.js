// Whether what a stream keeps up to date is still so: says it when the stream is lost, and when it is back.

const lost = document.getElementById("job-lost");

document.addEventListener("htmx:sseError", () => (lost.hidden = false));
document.addEventListener("htmx:sseOpen", () => (lost.hidden = true));
