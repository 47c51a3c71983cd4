// Package notify tells others what happens: each change of state of a job or
// of one of its outputs, and progress in steps of 5 percent, is posted to the
// web hooks of the configuration, under AMS's event names and with AMS's data,
// as CloudEvents 1.0 or in the schema of Azure Event Grid.
//
// The notification endpoints of v2 are told too, each what jobs and tasks
// subscribe for it, in the messages of v2 (message.go): to web hooks, signed with
// the endpoint's key, and to queues that speak Azure's protocol.
//
// What a job does and when is catalog's and jobqueue's business; this package
// only watches. Who may be reached is dial's.
//
// Invariants:
//
//   - An event is written in the transaction of the change it tells of: there
//     is no change without its event and no event without its change.
//   - Every event reaches every target that wants it at least once, or is
//     Dead: given up after Config.MaxAge or Config.Attempts, on an answer that
//     trying again does not mend, or because the target's queue was full. A
//     Dead delivery and, for Config.Retention, any event can be sent again.
//   - To a target, the events of one job go in the order in which they
//     happened, one at a time. Jobs do not wait for each other.
//   - A target has its own queue and its own requests; its silence costs no
//     job and no other target anything.
//   - Nothing is sent to an Event Grid target before it has answered the
//     handshake for its present URL.
//
// Any number of processes may record, and several may deliver, over one
// catalog; those that deliver must have the same targets.
package notify
