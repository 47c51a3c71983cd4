package ams

import (
	"encoding/json"
	"time"
)

// A Job applies a recipe to inputs. Its Tasks are the units of work: a v3 job
// has one for each output of its transform, in the same order; a v2 job names
// them itself. A task in state Queued is its own queue entry, which counts once
// the tasks that it needs are Finished.
type Job struct {
	Account        string // Account.ID
	Transform      string // name of the transform; empty for a v2 job
	Name           string // unique in its transform; of a v2 job its ID
	ID             string // guid: the v2 Id is "nb:jid:UUID:" + ID
	Label          string // the v2 Name of a v2 job: free text, may repeat, may be empty
	Description    string
	Input          JobInput // of a v2 job: an InputList of its InputMediaAssets
	Tasks          []Task
	Priority       Priority
	Rank           int    // the v2 Priority, greater first; 0: that of Priority
	Template       string // guid of the job template that a v2 job was made from
	Subscriptions  []Subscription
	State          JobState
	Correlation    map[string]string // v3 correlationData
	Created        time.Time
	LastModified   time.Time
	Started        time.Time // zero until a task is Processing
	Ended          time.Time // zero until State is final
	CreatedBy      string
	LastModifiedBy string
}

// V2Name is the name of the job as v2 shows it.
func (j *Job) V2Name() string {
	if j.Transform == "" {
		return j.Label
	}
	return j.Name
}

// Number is the priority of the job as v2 has it, greater first.
func (j *Job) Number() int {
	if j.Rank != 0 {
		return j.Rank
	}
	return j.Priority.Rank()
}

// A Task makes an output asset of a job's input, or several of several assets.
type Task struct {
	ID       string // guid
	Index    int    // position in Job.Tasks
	Label    string // v3 output label, default "{presetName}_{index}"
	Preset   Preset // of the transform at submission, presetOverride applied
	Override bool   // Preset came from the job's presetOverride
	OnError  OnError
	Priority Priority // relativePriority of the transform output
	Asset    string   // name of the output asset, of several the first
	State    JobState
	Progress float64 // percent, 0 to 100, never falls within an attempt
	Error    *JobError
	Started  time.Time
	Ended    time.Time
	Attempt  int // fencing number: rises each time a worker claims the task

	// What only tasks of v2 jobs have. Inputs are the names of the assets that
	// the task reads, in its own order; a v3 task reads Job.Input.
	Spec          *TaskSpec
	Inputs        []string
	Outputs       []TaskOutput
	Needs         []int // positions of the tasks that make its inputs
	Rank          int   // the v2 Priority, greater first; 0: that of Priority
	Subscriptions []Subscription

	Events []TaskEvent // what happened to it, the latest MaxTaskEvents
}

// Number is the priority of the task within its job as v2 has it, greater first.
func (t *Task) Number() int {
	if t.Rank != 0 {
		return t.Rank
	}
	return t.Priority.Rank()
}

// V2Name is the name of the task as v2 shows it.
func (t *Task) V2Name() string {
	if t.Spec != nil {
		return t.Spec.Name
	}
	return t.Label
}

// V2Processor is the guid of the processor that does the task as v2 shows it:
// what v3 encodes, Media Encoder Standard does.
func (t *Task) V2Processor() string {
	if t.Spec != nil {
		return t.Spec.Processor
	}
	return Processors[0].ID
}

// A TaskSpec is what a v2 client wrote of a task.
type TaskSpec struct {
	Name          string `json:"name,omitempty"`
	Processor     string `json:"processor"` // Processor.ID
	Configuration string `json:"configuration,omitempty"`
	Body          string `json:"body"`
	Options       int    `json:"options,omitempty"` // TaskOptions

	// Configuration is encrypted if Options has ProtectedConfiguration.
	KeyID   string `json:"keyId,omitempty"` // v2 Id of the content key
	Scheme  string `json:"scheme,omitempty"`
	Version string `json:"version,omitempty"`
	IV      string `json:"iv,omitempty"` // base64
}

// The flags of TaskSpec.Options.
const (
	ProtectedConfiguration          = 1
	DoNotDeleteOutputAssetOnFailure = 2
	DoNotCancelOnJobFailure         = 4
)

// Has reports whether the options have a flag; those of a v3 task have none.
func (s *TaskSpec) Has(flag int) bool { return s != nil && s.Options&flag != 0 }

// A TaskOutput is an output asset of a v2 task.
type TaskOutput struct {
	Index int    `json:"index"` // n of JobOutputAsset(n)
	Asset string `json:"asset"` // name
}

// A TaskEvent is one step of a task's life.
type TaskEvent struct {
	Code    string    `json:"code"` // the state reached, or Requeued
	Message string    `json:"message,omitempty"`
	Time    time.Time `json:"time"`
}

// MaxTaskEvents bounds Task.Events.
const MaxTaskEvents = 32

// A Subscription of a v2 job or task asks for messages to a notification
// endpoint.
type Subscription struct {
	Endpoint string           `json:"endpoint"` // NotificationEndpoint.ID
	States   SubscribedStates `json:"states"`
	Progress bool             `json:"progress,omitempty"` // of a task: its progress too
}

// SubscribedStates says which new states are told.
type SubscribedStates int

// The values of the v2 properties TargetJobState and TargetTaskState.
const (
	NoStates    SubscribedStates = 0
	FinalStates SubscribedStates = 1
	AllStates   SubscribedStates = 2
)

// Covers reports whether a move to s is told.
func (w SubscribedStates) Covers(s JobState) bool {
	return w == AllStates || w == FinalStates && s.Final()
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

// Number is the state as v2 numbers those of jobs and tasks (documented).
func (s JobState) Number() int {
	switch s {
	case Scheduled:
		return 1
	case Processing:
		return 2
	case Finished:
		return 3
	case Failed:
		return 4
	case Canceled:
		return 5
	case Canceling:
		return 6
	}
	return 0
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
