package notify

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

const (
	prefix       = "Microsoft.Media."
	progressType = prefix + "JobOutputProgress"
	step         = 5 // percent between two events of progress (documented)
)

// moves name the events of the states that a job or output can reach. Queued
// has none: it is only ever a previous state (documented).
var moves = map[ams.JobState]string{
	ams.Scheduled:  "Scheduled",
	ams.Processing: "Processing",
	ams.Finished:   "Finished",
	ams.Failed:     "Errored",
	ams.Canceling:  "Canceling",
	ams.Canceled:   "Canceled",
}

// Types lists the types of the events that are sent.
func Types() []string {
	types := []string{prefix + "JobStateChange", prefix + "JobOutputStateChange", progressType}
	for _, m := range moves {
		types = append(types, prefix+"Job"+m, prefix+"JobOutput"+m)
	}
	slices.Sort(types)
	return types
}

// The data of events, as media-services-event-schemas documents it.
type (
	jobData struct {
		PreviousState   ams.JobState      `json:"previousState"`
		State           ams.JobState      `json:"state"`
		CorrelationData map[string]string `json:"correlationData"`
		Outputs         []output          `json:"outputs,omitempty"` // of a job that has ended
	}
	outputData struct {
		PreviousState ams.JobState      `json:"previousState"`
		Output        output            `json:"output"`
		Correlation   map[string]string `json:"jobCorrelationData"`
	}
	progressData struct {
		Correlation map[string]string `json:"jobCorrelationData"`
		Label       string            `json:"label"`
		Progress    int               `json:"progress"`
	}
	output struct {
		Type      string       `json:"@odata.type"`
		AssetName string       `json:"assetName"`
		Error     *outputError `json:"error"`
		Label     string       `json:"label"`
		Progress  int          `json:"progress"`
		State     ams.JobState `json:"state"`
	}
	outputError struct {
		Category string               `json:"category"`
		Code     ams.JobErrorCode     `json:"code"`
		Details  []ams.JobErrorDetail `json:"details"`
		Message  string               `json:"message"`
		Retry    string               `json:"retry"`
	}
)

func outputOf(t *ams.Task, s ams.JobState) output {
	o := output{Type: "#Microsoft.Media.JobOutputAsset", AssetName: t.Asset, Label: t.Label, Progress: int(t.Progress), State: s}
	if e := t.Error; e != nil {
		o.Error = &outputError{Category: e.Code.Category(), Code: e.Code, Details: e.Details, Message: e.Message, Retry: "DoNotRetry"}
		if e.Code.Transient() {
			o.Error.Retry = "MayRetry"
		}
		if e.Details == nil {
			o.Error.Details = []ams.JobErrorDetail{}
		}
	}
	return o
}

// record writes the events of a transaction's changes, and the messages that
// v2 jobs subscribe. While nobody is there to be told it writes none.
func record(tx *catalog.Tx, changes []catalog.JobChange) error {
	wanted, err := tx.HasEventTargets()
	if err != nil {
		return err
	}
	endpoints, err := tx.HasEndpointTargets()
	if err != nil {
		return err
	}
	r := recorder{tx: tx, jobs: map[string]*ams.Job{}, sources: map[string]string{}}
	for _, c := range changes {
		var err error
		if wanted {
			err = r.change(c)
		}
		if err == nil && endpoints && c.Transform == "" {
			err = r.subscribed(c)
		}
		if err != nil {
			return fmt.Errorf("notify: record a change of job %s: %w", c.JobID, err)
		}
	}
	return nil
}

// A recorder turns the changes of one transaction into events. Jobs appear as
// they are at its end.
type recorder struct {
	tx      *catalog.Tx
	jobs    map[string]*ams.Job // by id
	sources map[string]string   // by account id
}

func (r *recorder) change(c catalog.JobChange) error {
	move, moved := moves[c.To], c.From != c.To
	if !moved && c.Task == "" || moved && move == "" {
		return nil
	}
	j, err := r.job(c.JobID)
	if ams.CodeOf(err) == ams.NotFound {
		return nil // deleted by the same transaction
	}
	if err != nil {
		return err
	}
	correlation := j.Correlation
	if correlation == nil {
		correlation = map[string]string{}
	}
	switch {
	case !moved:
		return r.progress(c, j, correlation)
	case c.Task != "":
		data := outputData{PreviousState: c.From, Output: outputOf(&j.Tasks[c.TaskIndex], c.To), Correlation: correlation}
		return r.insert(c, data, prefix+"JobOutputStateChange", prefix+"JobOutput"+move)
	}
	data := jobData{PreviousState: c.From, State: c.To, CorrelationData: correlation}
	if c.To.Final() {
		for i := range j.Tasks {
			data.Outputs = append(data.Outputs, outputOf(&j.Tasks[i], j.Tasks[i].State))
		}
	}
	// The general event has the documented data, and no more, too.
	general := data
	general.Outputs = nil
	if err := r.insert(c, general, prefix+"JobStateChange"); err != nil {
		return err
	}
	return r.insert(c, data, prefix+"Job"+move)
}

// progress tells of progress that has grown by a step since it was told of
// last.
func (r *recorder) progress(c catalog.JobChange, j *ams.Job, correlation map[string]string) error {
	last, err := r.tx.LatestEvent(c.Task, progressType)
	if err != nil {
		return err
	}
	var told progressData
	if last != nil {
		if err := json.Unmarshal(last.Data, &told); err != nil {
			return err
		}
	}
	if int(c.Progress) < told.Progress+step {
		return nil
	}
	return r.insert(c, progressData{Correlation: correlation, Label: j.Tasks[c.TaskIndex].Label, Progress: int(c.Progress)}, progressType)
}

func (r *recorder) subscribed(c catalog.JobChange) error {
	j, err := r.job(c.JobID)
	if ams.CodeOf(err) == ams.NotFound {
		return nil // deleted by the same transaction
	}
	if err != nil {
		return err
	}
	return r.messages(c, j)
}

func (r *recorder) insert(c catalog.JobChange, data any, types ...string) error {
	return r.insertTo("", c.Task, c, data, types...)
}

// insertTo writes an event for one target, or for all if to is empty.
func (r *recorder) insertTo(to, about string, c catalog.JobChange, data any, types ...string) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	source, err := r.source(c.Account)
	if err != nil {
		return err
	}
	subject := "transforms/" + c.Transform + "/jobs/" + c.Job
	if c.Transform == "" { // of v2, where names may repeat
		subject = "jobs/nb:jid:UUID:" + c.JobID
	}
	for _, t := range types {
		err := r.tx.InsertEvent(&catalog.Event{
			ID: uuid.NewString(), Account: c.Account, Lane: c.JobID, About: about, Type: t,
			Source: source, Subject: subject, To: to, Time: c.At, Data: body,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) job(id string) (j *ams.Job, err error) {
	if j = r.jobs[id]; j == nil {
		if j, err = r.tx.JobByID(id); err == nil {
			r.jobs[id] = j
		}
	}
	return j, err
}

func (r *recorder) source(account string) (string, error) {
	if s := r.sources[account]; s != "" {
		return s, nil
	}
	a, err := r.tx.AccountByID(account)
	if err != nil {
		return "", err
	}
	s := "/subscriptions/" + a.SubscriptionID + "/resourceGroups/" + a.ResourceGroup + "/providers/Microsoft.Media/mediaservices/" + a.Name
	r.sources[account] = s
	return s, nil
}
