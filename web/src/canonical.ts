// Canonical forms of JSON (docs/formats/json.md), for what is bound to a sealed message.
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

function written(value: Json, order: ((a: string, b: string) => number) | undefined): string {
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return "[" + value.map((one) => written(one, order)).join(",") + "]";
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const names = Object.keys(value).sort(order);
  return "{" + names.map((name) => text(name) + ":" + written(value[name]!, order)).join(",") + "}";
}

export function canonical(value: Json): string {
  return written(value, byBytes);
}

/** RFC 8785, which sorts names by their UTF-16 units. */
export function jcs(value: Json): string {
  return written(value, undefined);
}
