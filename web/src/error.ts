import type { JsonObject } from "./types";

/** What the daemon refused, or why it could not be asked (status 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: JsonObject = {},
  ) {
    super(message);
  }
}
