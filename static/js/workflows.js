/* Conveniences of the workflow pages; all of them work without. */
"use strict";

(() => {
  /** A page that nobody looks at asks for nothing. */
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.detail.elt.hasAttribute("data-poll")) event.preventDefault();
  });

  /** Details a person opened or closed stay so when the page draws itself anew. */
  const openness = new Map();
  document.addEventListener("htmx:beforeSwap", () => {
    for (const box of document.querySelectorAll("details[id]")) openness.set(box.id, box.open);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const [id, open] of openness) {
      const box = document.getElementById(id);
      if (box) box.open = open || box.open;
    }
  });

  /** An expression goes where the person last typed. */
  let field = null;
  document.addEventListener("focusin", (event) => {
    if (event.target.closest("#builder") && event.target.matches("input[type=text], textarea")) field = event.target;
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-insert]");
    if (!button) return;
    if (!field || !field.isConnected) {
      navigator.clipboard?.writeText(button.dataset.insert);
      return;
    }
    field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  });
})();
