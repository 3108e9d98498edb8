// Runs the script of a page without a browser: node fake_dom.js PAGE HASH QUESTION, where QUESTION is the body of a
// function, the answer of which is printed as JSON. Only what the script uses of a page is there.
"use strict";
const fs = require("node:fs");
const vm = require("node:vm");

class Element {
  constructor(tag) {
    Object.assign(this, { tag, attributes: {}, children: [], listeners: {}, style: {}, hidden: false });
    const names = new Set();
    this.classList = {
      add: (name) => names.add(name),
      contains: (name) => names.has(name),
      toggle: (name, on) => (on ? names.add(name) : names.delete(name)),
    };
  }
  get tagName() { return this.tag.toUpperCase(); }
  get textContent() { return this.children.map((child) => child.textContent ?? String(child)).join(""); }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  getAttribute(name) { return this.attributes[name] ?? null; }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  addEventListener(type, listener) { (this.listeners[type] ??= []).push(listener); }
  getBoundingClientRect() { return { left: 0, top: 0, width: 100, height: 100 }; }
}

const [path, hash, question] = process.argv.slice(2);
const html = fs.readFileSync(path, "utf8");
const [, data] = html.match(/<script type="application\/json" id="data">(.*?)<\/script>/s);
const [, script] = html.match(/<script>\n(.*?)<\/script>/s);
const elements = {};
for (const [written, tag, id] of html.matchAll(/<(\w+)[^>]*? id="(\w+)"[^>]*>/g)) {
  elements[id] = new Element(tag);
  elements[id].hidden = written.endsWith(" hidden>");
  for (const [, name, value] of written.matchAll(/ ([a-z-]+)="([^"]*)"/g)) elements[id].setAttribute(name, value);
}
elements.data.append(data);

const document = new Element("document");
document.getElementById = (id) => elements[id];
document.createElement = (tag) => new Element(tag);
document.createElementNS = (space, tag) => new Element(tag);
const window = Object.assign(new Element("window"), {
  location: { hash },
  history: { replaceState: (state, title, address) => { window.location.hash = address; } },
  innerWidth: 1000,
  innerHeight: 800,
});
const fire = (target, type, properties = {}) => {
  const event = { target, preventDefault() {}, ...properties };
  for (const listener of target.listeners[type] ?? []) listener(event);
};
const world = { document, window, fire, URLSearchParams, setTimeout: () => 1, clearTimeout: () => {} };
vm.createContext(world);
vm.runInContext(script, world, { filename: "replay.js" });
process.stdout.write(vm.runInContext(`JSON.stringify((() => {${question}})())`, world));
