// What was wrong with a field is no longer known once it is changed.
const form = document.getElementById("new-run");
form?.addEventListener("input", ({ target }) => {
  target.removeAttribute("aria-invalid");
  target.closest(".field, fieldset")?.querySelector(":scope > .wrong")?.remove();
});

// A mistake that the plan tells is looked at again while it is mended, not only when its field is left.
let pause;
form?.addEventListener("input", () => {
  clearTimeout(pause);
  if (!document.querySelector("#plan .wrong")) return;
  pause = setTimeout(() => form.dispatchEvent(new Event("change")), 400);
});

// The box of the spec follows the fields until somebody writes in it.
const box = document.querySelector("#spec[data-follows]");
let followed = box?.defaultValue;

document.addEventListener("htmx:after:swap", () => {
  const planned = document.getElementById("plan-spec")?.textContent.trimEnd();
  if (box && planned && [followed, planned].includes(box.value)) box.value = followed = planned;
});

// After Back or a reload the browser fills in what was typed: the plan is asked for again.
addEventListener("pageshow", () => {
  const [{ type }] = performance.getEntriesByType("navigation");
  const ask = () => form?.dispatchEvent(new Event("change"));
  if (type !== "navigate") setTimeout(ask);
});

// A stream that is called after its path follows it: items for /items/{item_id}.
function named(path) {
  const parts = path.split(/[/?#]/).filter((part) => /^[a-z][\w-]*$/i.test(part));
  return parts.at(-1)?.slice(0, 40) ?? "root";
}

form?.addEventListener("change", ({ target }) => {
  const stream = /^(workload\.streams\.\d+)\.requests\.0\.path$/.exec(target.name)?.[1];
  const name = stream && form.elements.namedItem(`${stream}.name`);
  if (!name) return;
  if (name.value === named(target.defaultValue)) name.value = named(target.value);
  target.defaultValue = target.value;
});

// So does one that is called after the application that is asked.
let application = form?.elements.namedItem("target")?.value;
form?.addEventListener("change", ({ target }) => {
  const name = form.elements.namedItem("workload.streams.0.name");
  const path = form.elements.namedItem("workload.streams.0.requests.0.path");
  if (target.name !== "target") return;
  const own = !["bundled", "url"].includes(target.value);
  if (name?.value === application) name.value = own ? target.value : named(path.value);
  application = target.value;
});

// The text of a chosen file goes into its field, which is what is sent.
const LARGEST_FILE = 5_000_000;

// Of a HAR file only the requests: its answers may be a hundred times as large.
function withoutAnswers(text) {
  const entries = JSON.parse(text).log.entries.map(({ request }) => ({ request }));
  return JSON.stringify({ log: { entries } });
}

async function readInto(field, file) {
  const har = file.name.endsWith(".har");
  if (file.size > LARGEST_FILE && !har) throw new Error(`${file.name} is above the limit of 5 MB.`);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text;
  try {
    text = decoder.decode(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is not UTF-8: save it as UTF-8.`);
  }
  try {
    field.value = har ? withoutAnswers(text) : text;
  } catch {
    throw new Error(`${file.name} is no HAR file.`);
  }
}

form?.addEventListener("change", async (event) => {
  const { into, named } = event.target.dataset;
  const [file] = event.target.files ?? [];
  if (!into || !file) return;
  event.stopPropagation();
  const field = form.elements.namedItem(into);
  event.target.parentElement.querySelector(".wrong")?.remove();
  try {
    await readInto(field, file);
    const name = form.elements.namedItem(named);
    if (name) name.value = file.name;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  } catch (error) {
    const wrong = document.createElement("span");
    wrong.className = "wrong";
    wrong.textContent = error.message;
    event.target.after(wrong);
  }
}, true);

// What was typed outlives a session that ended meanwhile: the login page that answers the form marks it as lost, as does
// the link to log in again, and the form that comes after the login is made again of what was sent.
const spec = document.getElementById("spec-form");
for (const sent of [form, spec]) sent?.addEventListener("submit", () => keep(sent));

document.addEventListener("click", ({ target }) => {
  if (!form || !target.closest(".queue[role=alert] a")) return;
  keep(form);
  sessionStorage.setItem("lost", "yes");
});

function keep(sent) {
  try {
    sessionStorage.setItem("typed", JSON.stringify([...new FormData(sent)]));
  } catch {
    sessionStorage.removeItem("typed"); // It is larger than the browser keeps.
  }
}

function restore(fields) {
  const text = new Map(fields).get("spec");
  if (text !== undefined) {
    spec.elements.spec.value = text;
    spec.scrollIntoView();
    return;
  }
  const again = document.createElement("form");
  Object.assign(again, { method: "post", action: "/runs/new", hidden: true });
  for (const [name, value] of [...fields, ["change", "restore"]]) {
    const field = document.createElement("textarea");
    Object.assign(field, { name, value });
    again.append(field);
  }
  document.body.append(again);
  again.submit();
}

if (document.querySelector("form.login[data-lost]")) sessionStorage.setItem("lost", "yes");
if (form) {
  const lost = sessionStorage.getItem("lost") && sessionStorage.getItem("typed");
  sessionStorage.removeItem("lost");
  sessionStorage.removeItem("typed");
  if (lost) restore(JSON.parse(lost));
}
