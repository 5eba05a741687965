// What was wrong with a field is no longer known once it is changed.
document.getElementById("new-run")?.addEventListener("input", ({ target }) => {
  target.removeAttribute("aria-invalid");
  target.closest(".field, fieldset")?.querySelector(":scope > .wrong")?.remove();
});
