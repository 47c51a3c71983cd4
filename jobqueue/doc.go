// Package jobqueue decides which worker runs which task, and when again. A
// task in state Queued is its own queue entry: whoever inserts a job (catalog,
// for account) has queued it, and a cancel is a change of the same rows. What
// a task means and how it is done is the worker's business (encoder); events
// to the outside are notify's, from catalog.DB.Record.
//
// Claims go by the job's priority, then the task's, then age. A task that needs
// others of its job is not to be had until they are Finished; when one of them
// ends otherwise, it ends as Canceled, and so do those that need it. A claim is a
// lease: the worker renews it by heartbeats that also write progress and read
// cancellation. Every write carries the attempt number of its claim, which
// rises with each claim, and is refused (ErrLost) once another attempt began
// or the task is gone.
//
// A task ends, whatever happens to its workers:
//
//   - A transient failure (ams.JobErrorCode.Transient) is tried again after a
//     backoff, at most Config.Attempts times in all. Other failures are final.
//   - A lease that ran out puts the task back at once; the fifth time
//     (Config.Crashes) it ends in Error with code ServiceError.
//   - Release puts it back at no cost: a server that stops uses up nothing.
//   - A final failure of a task whose OnError is not ContinueJob cancels the
//     job's other tasks, but for those that ask not to be (v2) and need none
//     that is.
//
// The progress that clients see never falls, not even when an attempt starts
// over: until a new attempt passes the best one before it, progress stands.
//
// A running task may be split into chunks, which any worker may take that finds no
// task. They are leases of their own, and end with the task.
//
// Any number of queues in any number of processes may share a catalog. The
// clock is the catalog's, so the clocks of machines that share one differ by
// seconds at most: by more than a lease, and live workers are taken for dead.
// Even then no task ends twice.
package jobqueue
