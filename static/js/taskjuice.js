/* Small conveniences; every page works without them. */
"use strict";

(() => {
  /** Copy boxes: <div class="copy"><input readonly><button hidden data-copy>. */
  function offerCopy(root) {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
  }

  async function copy(button) {
    const source = button.closest(".copy").querySelector("input");
    await navigator.clipboard.writeText(source.value);
    const label = button.querySelector("[data-copy-label]");
    const before = label.textContent;
    label.textContent = button.dataset.copied;
    setTimeout(() => { label.textContent = before; }, 1600);
  }

  /** Menus are <details>: one open at a time, closed by Escape or a click elsewhere. */
  function closeMenus(except) {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(except)) menu.open = false;
    }
  }

  /** "Select all": <input type="checkbox" data-check-all="name"> ticks the boxes of that name in its form. */
  function checkAll(box) {
    for (const other of box.form.querySelectorAll(`input[type="checkbox"][name="${box.dataset.checkAll}"]`)) {
      other.checked = box.checked;
    }
  }

  /** A hidden <input data-time-zone> learns the browser's zone, so that a new person's times are right at once. */
  function tellTimeZone(root) {
    for (const input of root.querySelectorAll("input[data-time-zone]")) {
      if (!input.value) input.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
    }
  }

  /** A field <input data-slug-of="id of the name"> follows the name until it is edited by hand. */
  function followName(slug) {
    const name = document.getElementById(slug.dataset.slugOf);
    if (!name) return;
    let own = slug.value !== "" && slug.value !== slugOf(name.value);
    slug.addEventListener("input", () => { own = slug.value !== ""; });
    name.addEventListener("input", () => {
      if (own) return;
      slug.value = slugOf(name.value);
      slug.dispatchEvent(new Event("slugchange", { bubbles: true }));
    });
  }

  function slugOf(text) {
    const plain = text.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
    return plain.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 50).replace(/-+$/, "");
  }

  function prepare(root) {
    offerCopy(root);
    tellTimeZone(root);
    for (const slug of root.querySelectorAll("input[data-slug-of]")) followName(slug);
    for (const button of root.querySelectorAll("[data-print][hidden], [data-needs-script][hidden]")) {
      button.hidden = false;
    }
  }

  document.addEventListener("click", (event) => {
    closeMenus(event.target);
    const button = event.target.closest("button");
    if (!button) return;
    if ("copy" in button.dataset) copy(button);
    if ("print" in button.dataset) window.print();
    if ("opens" in button.dataset) document.getElementById(button.dataset.opens).showModal();
  });

  document.addEventListener("change", (event) => {
    if (event.target.dataset && "checkAll" in event.target.dataset) checkAll(event.target);
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeMenus(null);
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      const field = document.querySelector("input[type=search]:not(details:not([open]) *)");
      if (field) { event.preventDefault(); field.focus(); }
    }
  });

  document.addEventListener("toggle", (event) => {
    const menu = event.target;
    if (menu.matches("details.menu[open]")) menu.querySelector("[data-focus]")?.focus();
  }, true);

  /** A form is sent once: a second click while the first is on its way does nothing. */
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.target) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    if (form.matches("[hx-post]")) return;
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  document.addEventListener("htmx:load", (event) => prepare(event.detail.elt));
  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", () => prepare(document));
  } else {
    prepare(document);
  }
})();

// What a person types into a part while its replacement is on its way is not lost: the new part gets it.
(() => {
  const sent = new WeakMap(); // request → what stood in the fields of its target when it was sent
  const typed = new WeakMap(); // request → what was typed there since then

  /** Fields by name and place, since several may have one name. */
  function fieldsOf(part) {
    const found = new Map(), seen = {};
    for (const field of part.querySelectorAll("input:not([type=hidden], [type=checkbox], [type=radio]), select, textarea")) {
      if (!field.name) continue;
      seen[field.name] = (seen[field.name] || 0) + 1;
      found.set(`${field.name} ${seen[field.name]}`, field);
    }
    return found;
  }

  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    const values = [...fieldsOf(detail.target)].map(([key, field]) => [key, field.value]);
    if (values.length) sent.set(detail.xhr, new Map(values));
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target, elt, requestConfig } = event.detail;
    const before = sent.get(xhr);
    if (!before || !target) return;
    const changed = [...fieldsOf(target)].filter(([key, field]) => before.has(key) && before.get(key) !== field.value);
    if (!changed.length) return;
    if (String(elt.value || "").startsWith("remove-")) { // the rows below have moved up: ask once more
      event.detail.shouldSwap = false;
      window.htmx.trigger(elt, requestConfig.triggeringEvent.type);
      return;
    }
    typed.set(xhr, changed.map(([key, field]) => [key, field.value]));
  });

  /* A form that is too large to be sent stays as it is, and says so. */
  document.addEventListener("htmx:responseError", ({ detail }) => {
    if (detail.xhr.status !== 413) return;
    const form = detail.elt.closest("form") || detail.target;
    for (const notice of form.querySelectorAll("[data-too-large]")) notice.remove();
    form.insertAdjacentHTML("afterbegin", detail.xhr.responseText);
    form.firstElementChild.scrollIntoView({ block: "center" });
  });

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    const values = typed.get(detail.xhr);
    if (!values) return;
    typed.delete(detail.xhr); // one request settles several parts
    const fields = fieldsOf(document);
    for (const [key, value] of values) {
      const field = fields.get(key);
      if (!field) continue;
      field.value = value;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
})();
