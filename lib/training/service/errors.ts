/** Failures of the training service as data: what went wrong, what the user can do, and the HTTP status. */
import { z } from "zod";
import type { ErrorBody } from "../types";

export class ServiceError extends Error {
  override readonly name = "ServiceError";
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly action: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Statuses of codes that the rooms below throw without one. */
const statuses: Record<string, number> = {
  "node-unknown": 404,
  "not-found": 404,
  "no-data": 422,
  path: 400,
  "bad-request": 400,
  "bad-address": 422,
  running: 409,
  exists: 409,
  "run-busy": 409,
  "not-running": 409,
  "other-host": 409,
  timeout: 504,
  "disk-full": 507,
  "config-invalid": 422,
  cancelled: 409,
};

const told = z.object({ code: z.string(), message: z.string(), action: z.string(), status: z.number().int().optional() });

/** What to tell of a failure. Anything that is not one of the project's own errors is told in general words. */
export function errorBody(error: unknown): ErrorBody {
  if (error instanceof z.ZodError) {
    const issues = error.issues.slice(0, 5).map(({ path, message }) => (path.length ? `${path.join(".")}: ${message}` : message));
    return { code: "input-invalid", message: `The request is not valid: ${issues.join("; ")}.`, action: "Correct these fields, then try again." };
  }
  const known = told.safeParse(error instanceof Error ? { ...error, message: error.message } : error);
  if (known.success) return { code: known.data.code, message: known.data.message, action: known.data.action };
  if (codeOf(error) === "ENOSPC") {
    return { code: "disk-full", message: "The disk of the home folder is full.", action: "Free some space (the trash can be emptied), then try again." };
  }
  if (codeOf(error) === "EACCES" || codeOf(error) === "EROFS") {
    return { code: "home-not-writable", message: "The home folder cannot be written.", action: "Check its permissions, then try again." };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "internal", message: `Something unexpected happened: ${message}`, action: "Try again; if it stays, look at the server's output." };
}

export function statusOf(error: unknown): number {
  if (error instanceof z.ZodError) return 422;
  const known = told.safeParse(error instanceof Error ? { ...error, message: error.message } : error);
  if (!known.success) return codeOf(error) === "ENOSPC" ? 507 : 500;
  // What a node tells is the fault of something behind this server.
  return known.data.status ?? statuses[known.data.code] ?? 502;
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

export const notFound = (what: string, action = "Look at the list of runs again."): ServiceError => new ServiceError(404, "not-found", `There is no ${what}.`, action);
