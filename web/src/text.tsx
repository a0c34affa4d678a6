// Text from outside: always text, with what the eye would not see made visible.
import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import type { Json } from "./types";

// Control, format (bidi, zero width), surrogate, private and unassigned characters, other blanks, and all that fonts draw as nothing.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;
const LINE = /[\n\t]/;
const FOLD_CHARS = 400;
const FOLD_LINES = 8;
const SHOWN_HEAD = 300;
const SHOWN_TAIL = 60;

function nameOf(character: string): string {
  const code = character.codePointAt(0)!;
  return "U+" + code.toString(16).toUpperCase().padStart(4, "0");
}

/** Pieces of a text; what is unseen as its code point. Line ends and tabs stay where the place shows them. */
export function visible(text: string, lines: boolean): ComponentChildren[] {
  const out: ComponentChildren[] = [];
  let from = 0;
  for (const found of text.matchAll(UNSEEN)) {
    if (lines && LINE.test(found[0])) continue;
    if (found.index > from) out.push(text.slice(from, found.index));
    out.push(<span class="mark">{nameOf(found[0])}</span>);
    from = found.index + found[0].length;
  }
  if (from < text.length) out.push(text.slice(from));
  return out;
}

/** One line of text. */
export function Text({ of, code }: { of: string | undefined; code?: boolean }) {
  const shown = visible(of ?? "", false);
  return code ? <code class="text">{shown}</code> : <bdi class="text">{shown}</bdi>;
}

function isLong(text: string): boolean {
  return text.length > FOLD_CHARS || text.split("\n", FOLD_LINES + 1).length > FOLD_LINES;
}

/** The beginning of a long text without cutting a character in two, nor more lines than there is room for. */
function headOf(text: string): string {
  const head = text.split("\n", FOLD_LINES).join("\n").slice(0, SHOWN_HEAD);
  return /[\ud800-\udbff]$/.test(head) ? head.slice(0, -1) : head;
}

function tailOf(text: string, head: string): string {
  const tail = text.slice(Math.max(head.length, text.length - SHOWN_TAIL));
  return /^[\udc00-\udfff]/.test(tail) ? tail.slice(1) : tail;
}

/** Text of any length with its lines; a long one is folded to its two ends. */
export function LongText({ of }: { of: string }) {
  const [open, setOpen] = useState(false);
  if (!isLong(of)) return <bdi class="text lines">{visible(of, true)}</bdi>;
  const head = headOf(of);
  const tail = tailOf(of, head);
  const hidden = of.length - head.length - tail.length;
  return (
    <>
      {open ? (
        <bdi class="text lines">{visible(of, true)}</bdi>
      ) : (
        <>
          <bdi class="text lines">{visible(head, true)}</bdi>
          <span class="cut"> … {hidden.toLocaleString("en")} characters more … </span>
          <bdi class="text lines">{visible(tail, true)}</bdi>
        </>
      )}{" "}
      <button type="button" class="small" aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? "Fold" : `Show all ${of.length.toLocaleString("en")} characters`}
      </button>
    </>
  );
}

function kindOf(value: Json): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return `list of ${value.length}`;
  return typeof value;
}

/** Names in a row. */
export function Codes({ of, none }: { of: string[] | undefined; none: string }) {
  if (!of || of.length === 0) return <span class="muted">{none}</span>;
  return (
    <>
      {of.map((one, i) => (
        <>
          {i > 0 && ", "}
          <Text of={one} code />
        </>
      ))}
    </>
  );
}

/** What may be reached; "*" is any public host. */
export function Hosts({ of }: { of: string[] }) {
  return of.includes("*") ? <strong>any public host</strong> : <Codes of={of} none="no host" />;
}

/** A value as it is: strings as their text, the rest as JSON. */
export function Value({ of }: { of: Json }) {
  if (typeof of === "string") return of === "" ? <span class="muted">empty text</span> : <LongText of={of} />;
  const text = typeof of === "object" && of !== null ? JSON.stringify(of, null, 2) : String(of);
  return (
    <span class="json">
      <LongText of={text} /> <span class="muted kind">{kindOf(of)}</span>
    </span>
  );
}

/** The members of an object, one a row. */
export function Members({ of, none }: { of: Json | undefined; none: string }) {
  if (of === undefined || of === null) return <p class="muted">{none}</p>;
  if (typeof of !== "object" || Array.isArray(of)) return <Value of={of} />;
  const names = Object.keys(of);
  if (names.length === 0) return <p class="muted">{none}</p>;
  return (
    <dl class="facts exact">
      {names.map((name) => (
        <div key={name}>
          <dt>
            <Text of={name} />
          </dt>
          <dd>
            <Value of={of[name]!} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

// ------------------------------------------------------------------------------------------------------------- times

const UNITS: [string, number][] = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** "2 minutes", of the largest unit that is in it. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  for (const [name, size] of UNITS) {
    const n = Math.floor(seconds / size);
    if (n > 0) return `${n} ${name}${n === 1 ? "" : "s"}`;
  }
  return "a moment";
}

const two = (n: number): string => String(n).padStart(2, "0");

export function Time({ at }: { at: string | null | undefined }) {
  if (!at) return <span class="muted">–</span>;
  const when = new Date(at);
  if (Number.isNaN(when.getTime())) return <Text of={at} />;
  const day = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
  const clock = `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
  return (
    <time dateTime={at} title={at} class="time">
      {day} {clock}
    </time>
  );
}

/** A hash, short; the whole one to be selected or read aloud. */
export function Hash({ of }: { of: string | undefined }) {
  if (!of) return <span class="muted">–</span>;
  const [kind, digits] = of.includes(":") ? of.split(":", 2) : ["", of];
  return (
    <details class="hash">
      <summary>
        <code>
          {kind !== "" && kind + ":"}
          {visible(digits!.slice(0, 12), false)}…
        </code>
      </summary>
      <Text of={of} code />
    </details>
  );
}
