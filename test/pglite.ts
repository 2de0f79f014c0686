/** One PostgreSQL (PGlite, in this process) for all tests of a process: it takes seconds to start. */
import { PGlite } from '@electric-sql/pglite'

let server: Promise<PGlite> | null = null

/** The server, without any table. REQUIRES: whoever asked for it before is done. */
export async function emptyPostgres(): Promise<PGlite> {
  server ??= PGlite.create()
  const postgres = await server
  await postgres.exec('DROP SCHEMA IF EXISTS test CASCADE; CREATE SCHEMA test; SET search_path TO test')
  return postgres
}
