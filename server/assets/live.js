// Puts each panel that the server sends in its place. The server renders; nothing is made here.
"use strict";

const connection = document.getElementById("connection");
const announcement = document.getElementById("announcement");

function show(state, text) {
  if (connection.dataset.state === state) return;
  connection.dataset.state = state;
  connection.textContent = text;
}

function newestRevision() {
  return document.querySelector("[data-announce]")?.textContent ?? "";
}

let announced = newestRevision();
const source = new EventSource("/live");
source.addEventListener("open", () => show("live", "Live"));
source.addEventListener("error", () => show("waiting", "Connection lost, trying again"));
source.addEventListener("panel", (message) => {
  const { id, html } = JSON.parse(message.data);
  const panel = document.getElementById(id);
  if (!panel) return;
  panel.innerHTML = html;
  const newest = newestRevision();
  if (newest && newest !== announced) {
    announced = newest;
    announcement.textContent = newest;
  }
});
