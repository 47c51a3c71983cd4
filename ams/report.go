package ams

import (
	"encoding/json"
	"time"
)

// A TaskReport tells what a worker did in one attempt at a task, for whoever has
// to find out why it failed or what took so long. It holds no secrets, and no
// paths of the machine that the worker ran on.
type TaskReport struct {
	Attempt int             `json:"attempt"`
	Worker  string          `json:"worker"`
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended,omitzero"`    // zero: under way, or the worker vanished
	Plan    json.RawMessage `json:"plan,omitempty"`    // what the encoder decided to make, if it came that far
	Runs    []ProgramRun    `json:"runs,omitempty"`    // the programs that it ran, in the order in which they ended
	LeftOut int             `json:"leftOut,omitempty"` // how many more there were
	Error   *JobError       `json:"error,omitempty"`   // nil: finished, or given back
	Cause   string          `json:"cause,omitempty"`   // what the worker itself says of a failure
}

// A ProgramRun is a run of ffmpeg or ffprobe.
type ProgramRun struct {
	Program   string    `json:"program"`
	Arguments []string  `json:"arguments"` // long ones are cut
	Started   time.Time `json:"started"`
	Seconds   float64   `json:"seconds"`
	CPU       float64   `json:"cpuSeconds"`
	Exit      int       `json:"exitStatus"`    // -1 if a signal ended it
	Log       string    `json:"log,omitempty"` // the end of what it printed
}

// Retry is what v3 tells clients of a failure: MayRetry or DoNotRetry.
func (c JobErrorCode) Retry() string {
	if c.Transient() {
		return "MayRetry"
	}
	return "DoNotRetry"
}

// Advice says in a sentence what whoever submitted the job can do about a
// failure.
func (c JobErrorCode) Advice() string {
	switch c {
	case ContentMalformed:
		return "The input is damaged: trying again gives the same. Upload the file again or repair it; a StandardEncoderPreset with the experimental option openams.tolerateDamage encodes what can be read of it."
	case ContentUnsupported:
		return "The input is nothing that can be encoded: trying again gives the same. Give the job a media file."
	case ConfigurationUnsupported:
		return "The preset or the job's input does not fit the file: trying again gives the same. Change what the message names."
	case DownloadNotAccessible:
		return "The input is not there, or may not be read: put it there or correct the job's input, then submit the job again."
	case UploadNotAccessible:
		return "The output asset or its container is gone: submit the job again with one that exists."
	case DownloadTransientError, UploadTransientError, ServiceTransientError:
		return "The failure may pass; the server has tried again by itself before it gave up. Submit the job again later."
	}
	return "The failure is the server's own: trying again most likely gives the same. The log of the server and the report of the last attempt say more."
}
