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
  try {
    const answer = await fetch(location.pathname + location.search);
    if (!answer.ok) return location.reload();
    const html = await answer.text();
    const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("orders");
    // What this page did itself it has shown already.
    if (fresh?.dataset.state === orders().dataset.state) return;
    // What is being filled in is not taken away.
    if (orders().querySelector("details[open]")) news().hidden = false;
    else show(html);
  } catch {
    // Without a connection the page stays as it is; the stream tries again.
  }
}

/** Shows the orders anew, with the focus and the note where they were. */
function show(html) {
  const of = (element) => element?.closest("#orders article");
  const [told, active] = [orders().querySelector("[data-note]"), document.activeElement];
  const [noted, focused] = [of(told), of(active)?.id];
  if (!place(html, "orders")) return location.reload();
  const again = noted && orders().querySelector(`#${noted.id} > header`);
  const first = orders().querySelector("h2");
  if (again) again.after(told);
  // What has ended is no order of the list any more; what came of it stays to be read.
  else if (noted && first) first.after(noted);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  news().hidden = true;
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
  if (event.target.id === "news") location.reload();
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
