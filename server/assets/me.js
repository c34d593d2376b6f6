// Sends the page's forms without leaving it, and looks anew when the stream says so. Without this
// script the same forms work: the server renders everything.
"use strict";

const say = document.getElementById("say");
const news = () => document.getElementById("news");
const orders = () => document.getElementById("orders");
/** Longer away than this, milliseconds, and the page is old. */
const OLD = 30_000;

/** Puts a part of a page that the server sent in the place of ours; gives whether that was possible. */
function place(html, id) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const [fresh, ours] = [page.getElementById(id), document.getElementById(id)];
  if (!fresh || !ours || page.documentElement.lang !== document.documentElement.lang) return false;
  ours.replaceWith(document.adoptNode(fresh));
  fillZone();
  return true;
}

async function send(form, submitter) {
  const busy = submitter ?? form.querySelector("button");
  if (busy.getAttribute("aria-disabled") === "true") return;
  busy.setAttribute("aria-disabled", "true");
  const body = new URLSearchParams(new FormData(form));
  if (submitter?.name) body.set(submitter.name, submitter.value);
  try {
    const answer = await fetch(form.action, { method: "POST", body });
    const html = await answer.text();
    if (!place(html, form.dataset.swap)) return location.replace(answer.redirected ? answer.url : location.href);
    tell(form.closest("[id]")?.id);
  } catch {
    say.textContent = document.body.dataset.offline;
    busy.setAttribute("aria-disabled", "false");
    busy.insertAdjacentElement("afterend", note(document.body.dataset.offline));
  }
}

function note(text) {
  document.querySelector(".offline")?.remove();
  const made = document.createElement("p");
  made.className = "note refused offline";
  made.textContent = text;
  return made;
}

/** Says what came of it, and takes the focus there. */
function tell(id) {
  const told = document.querySelector("[data-note]");
  say.textContent = told?.textContent ?? "";
  const target = told?.closest("article, details") ?? document.getElementById(id) ?? orders();
  if (target.tagName === "DETAILS") target.querySelector("summary").focus();
  else target.focus();
}

async function refresh() {
  // What is being filled in is not taken away.
  if (orders().querySelector("details[open]") || orders().contains(document.activeElement)) {
    news().hidden = false;
    return;
  }
  await show();
}

async function show() {
  try {
    const answer = await fetch(location.pathname + location.search);
    if (!answer.ok || !place(await answer.text(), "orders")) return location.reload();
    news().hidden = true;
  } catch {
    // Without a connection the page stays as it is; the stream tries again.
  }
}

/** The browser knows the time zone of whoever never said theirs. */
function fillZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const field of document.querySelectorAll("[data-zone]")) field.value = zone ?? "";
}

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.swap) return;
  event.preventDefault();
  send(event.target, event.submitter);
});
document.addEventListener("click", (event) => {
  if (event.target.id === "news") show().then(() => orders().focus());
});

let hidden = 0;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hidden = Date.now();
  else if (Date.now() - hidden > OLD) refresh();
});

const stream = new EventSource(document.body.dataset.stream);
let lost = false;
stream.addEventListener("anew", refresh);
stream.addEventListener("error", () => (lost = true));
stream.addEventListener("open", () => {
  if (lost) refresh();
  lost = false;
});
fillZone();
