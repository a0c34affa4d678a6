// The canonical form of JSON (docs/formats/json.md), for what is bound to a sealed message.
import type { Json } from "./types";

const encoder = new TextEncoder();

/** By the bytes of their UTF-8, which is not the order of JavaScript's strings. */
export function byBytes(a: string, b: string): number {
  const left = encoder.encode(a);
  const right = encoder.encode(b);
  const n = Math.min(left.length, right.length);
  for (let i = 0; i < n; i++) if (left[i] !== right[i]) return left[i]! - right[i]!;
  return left.length - right.length;
}

function text(value: string): string {
  return JSON.stringify(value.toWellFormed());
}

export function canonical(value: Json): string {
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return "[" + value.map(canonical).join(",") + "]";
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const names = Object.keys(value).sort(byBytes);
  return "{" + names.map((name) => text(name) + ":" + canonical(value[name]!)).join(",") + "}";
}
