package ams

import (
	"encoding/json"
	"time"
)

// A Job applies a recipe to inputs. Its Tasks are the units of work: a v3 job
// has one for each output of its transform, in the same order; a v2 job names
// them itself. A task in state Queued is its own queue entry.
type Job struct {
	Account        string // Account.ID
	Transform      string // name of the transform; empty for a v2 job
	Name           string // unique in its transform
	ID             string // guid: the v2 Id is "nb:jid:UUID:" + ID
	Description    string
	Input          JobInput
	Tasks          []Task
	Priority       Priority
	State          JobState
	Correlation    map[string]string // v3 correlationData
	Created        time.Time
	LastModified   time.Time
	Started        time.Time // zero until a task is Processing
	Ended          time.Time // zero until State is final
	CreatedBy      string
	LastModifiedBy string
}

// A Task makes one output asset of a job's input.
type Task struct {
	ID       string // guid
	Index    int    // position in Job.Tasks
	Label    string // v3 output label, default "{presetName}_{index}"
	Preset   Preset // of the transform at submission, presetOverride applied
	Override bool   // Preset came from the job's presetOverride
	OnError  OnError
	Priority Priority // relativePriority of the transform output
	Asset    string   // name of the output asset
	State    JobState
	Progress float64 // percent, 0 to 100, never falls within an attempt
	Error    *JobError
	Started  time.Time
	Ended    time.Time
	Attempt  int // fencing number: rises each time a worker claims the task
}

// InputKind says where a JobInput comes from.
type InputKind string

// The kinds of job input; the v3 discriminators are "#Microsoft.Media." + kind.
const (
	InputAsset    InputKind = "JobInputAsset"
	InputHTTP     InputKind = "JobInputHttp"
	InputClip     InputKind = "JobInputClip"
	InputList     InputKind = "JobInputs"
	InputSequence InputKind = "JobInputSequence"
)

// A JobInput names the media that a job works on.
type JobInput struct {
	Kind    InputKind  `json:"kind"`
	Label   string     `json:"label,omitempty"`
	Asset   string     `json:"asset,omitempty"`   // InputAsset: the asset's name
	BaseURI string     `json:"baseUri,omitempty"` // InputHTTP: prefix of Files
	Files   []string   `json:"files,omitempty"`   // blob names or URLs; none: all files of the asset
	Inputs  []JobInput `json:"inputs,omitempty"`  // InputList, InputSequence

	// Start, End and Definitions are kept as the client spelled them in v3.
	Start       json.RawMessage `json:"start,omitempty"`
	End         json.RawMessage `json:"end,omitempty"`
	Definitions json.RawMessage `json:"definitions,omitempty"`
}

// A JobState is where a job or a task stands.
type JobState string

// The states of jobs and tasks, as v3 spells them.
const (
	Queued     JobState = "Queued"
	Scheduled  JobState = "Scheduled"
	Processing JobState = "Processing"
	Finished   JobState = "Finished"
	Failed     JobState = "Error"
	Canceling  JobState = "Canceling"
	Canceled   JobState = "Canceled"
)

// next lists the moves a job or task may make. A state without an entry is
// final.
var next = map[JobState][]JobState{
	Queued:     {Scheduled, Processing, Canceled, Failed},
	Scheduled:  {Processing, Queued, Canceling, Canceled, Failed}, // Queued: the lease ran out
	Processing: {Finished, Failed, Queued, Canceling, Canceled},
	Canceling:  {Canceled, Finished, Failed},
}

// Final reports whether no move leads out of s.
func (s JobState) Final() bool { return len(next[s]) == 0 }

// CanMove reports whether a job or task may go from s to t.
func (s JobState) CanMove(t JobState) bool {
	for _, n := range next[s] {
		if n == t {
			return true
		}
	}
	return false
}

// DeriveState is the state of a job whose tasks are in the given states.
// A failed task whose OnError is ContinueJob does not fail the job
// (documented).
func DeriveState(tasks []Task) JobState {
	if len(tasks) == 0 {
		return Finished
	}
	var queued, final, failed, canceled, canceling, scheduled int
	for _, t := range tasks {
		switch t.State {
		case Queued:
			queued++
		case Scheduled:
			scheduled++
		case Canceling:
			canceling++
		case Finished, Failed, Canceled:
			final++
			if t.State == Failed && t.OnError != ContinueJob {
				failed++
			}
			if t.State == Canceled {
				canceled++
			}
		}
	}
	switch {
	case final == len(tasks) && failed > 0:
		return Failed
	case final == len(tasks) && canceled > 0:
		return Canceled
	case final == len(tasks):
		return Finished
	case canceling > 0 || canceled > 0 && failed == 0:
		return Canceling
	case queued == len(tasks):
		return Queued
	case queued+scheduled == len(tasks):
		return Scheduled
	}
	return Processing
}

// A JobError says why a task failed, in AMS's own terms.
type JobError struct {
	Code    JobErrorCode     `json:"code"`
	Message string           `json:"message"`
	Details []JobErrorDetail `json:"details,omitempty"`
}

// A JobErrorDetail is one more fact about a JobError.
type JobErrorDetail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *JobError) Error() string { return string(e.Code) + ": " + e.Message }

// A JobErrorCode is the v3 code of a failed job output.
type JobErrorCode string

// The codes of failed job outputs (documented).
const (
	ServiceError             JobErrorCode = "ServiceError"
	ServiceTransientError    JobErrorCode = "ServiceTransientError"
	DownloadNotAccessible    JobErrorCode = "DownloadNotAccessible"
	DownloadTransientError   JobErrorCode = "DownloadTransientError"
	UploadNotAccessible      JobErrorCode = "UploadNotAccessible"
	UploadTransientError     JobErrorCode = "UploadTransientError"
	ConfigurationUnsupported JobErrorCode = "ConfigurationUnsupported"
	ContentMalformed         JobErrorCode = "ContentMalformed"
	ContentUnsupported       JobErrorCode = "ContentUnsupported"
)

// Category is the v3 category that the code belongs to.
func (c JobErrorCode) Category() string {
	switch c {
	case DownloadNotAccessible, DownloadTransientError:
		return "Download"
	case UploadNotAccessible, UploadTransientError:
		return "Upload"
	case ConfigurationUnsupported:
		return "Configuration"
	case ContentMalformed, ContentUnsupported:
		return "Content"
	}
	return "Service"
}

// Transient reports whether trying the task again may help; v3 tells clients
// MayRetry, else DoNotRetry.
func (c JobErrorCode) Transient() bool {
	switch c {
	case ServiceTransientError, DownloadTransientError, UploadTransientError:
		return true
	}
	return false
}
