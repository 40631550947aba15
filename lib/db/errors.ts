/** What went wrong with the database; stable, so that callers and tests can tell cases apart. */
export type DatabaseErrorCode = "database-newer" | "database-unavailable" | "database-row";

/** The database cannot be used: what went wrong (`message`) and what the user can do (`action`). */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
  constructor(
    readonly code: DatabaseErrorCode,
    message: string,
    readonly action: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
