// Package catalog keeps the records of the server in SQL: accounts, storage
// accounts, assets and their files, transforms, jobs with their tasks, streaming locators and
// their content keys, streaming and content key policies, endpoints,
// long-running operations, and the blob index.
//
// A table per noun has typed columns for what is filtered, sorted or joined
// and one JSON column, rest, for everything else; a noun's file declares the
// columns and a table helper does the SQL. A Query lists as v3 does, a Search as
// v2 does. Rules of the nouns are in ams and
// operations in account; how work is handed out is in jobqueue; bytes are in
// blob. This package decides only what must hold inside one transaction.
//
// Invariants:
//
//   - Names are unique in their parent without regard to case (Unicode simple
//     folding, column name_key) and keep the casing of their creator.
//   - What Update returned nil for survives the loss of power; what Note
//     returned nil for survives the death of the process.
//   - It is as if writers were served one after another, each seeing all that
//     came before; a View sees one instant. On SQLite they are; PostgreSQL runs
//     them at once and makes one of two that do not go together start again.
//   - The SQL is what SQLite and PostgreSQL share; dialect is what they do not.
//     They sort and compare text by its bytes.
//   - Deleting an asset deletes its locators, deleting a transform its jobs,
//     deleting an account everything in it, in one transaction.
//   - A job's state is ams.DeriveState of its tasks after every transaction.
//   - Times are kept to 100 ns, the precision of AMS.
//   - Secrets are stored under AES-256-GCM only.
package catalog
