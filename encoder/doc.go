// Package encoder is the worker: it claims encoding tasks, turns preset and
// source into a plan, the plan into ffmpeg's arguments, and what ffmpeg makes
// into the files of the output asset.
//
// The way of a task is: fetch the input to a local file, probe it, NewPlan,
// Encode, store the outputs. A preset of either API becomes a recipe (lookup.go
// tells which file has it), the recipe and the probe of the source a Plan. NewPlan is
// pure: everything that decides how a picture looks is in the Plan it returns,
// and golden tests hold it.
//
// # Invariants
//
//   - One decode of the source feeds every rung, and every rung has the same
//     frames and IDRs. Encode compares them before it calls a run good.
//   - Damage fails a task. ffmpeg ends with status 0 on files that are cut
//     short or have rotten bytes, so its word is not enough: decoders run
//     strict, and frame counts and durations are compared with the source's.
//   - A task's outputs appear in its asset only when all of them are complete,
//     the server manifest last. What plays early is there for the time of the
//     encode alone (early.go). A failed, canceled or killed attempt leaves no file
//     behind, and an attempt that was taken for dead cannot finish.
//   - What a preset or an input asks for and this encoder cannot do is refused by
//     its name, by Supported and SupportedInput, before there is a job.
//   - A failure that the user can do something about is an *ams.JobError whose
//     message names the file, the stream and, where known, the second.
//
// What the package leaves out: who may submit a job, which task comes next
// (jobqueue), how bytes are kept (blob), and what a segment is (packager).
package encoder
