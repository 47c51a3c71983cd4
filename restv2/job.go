package restv2

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv2/odata"
)

// The prefixes of ids of jobs and what is about them.
const (
	jobID          = "nb:jid:UUID:"
	taskID         = "nb:tid:UUID:"
	jobTemplateID  = "nb:jtid:UUID:"
	taskTemplateID = "nb:ttid:UUID:"
)

// registerJobs adds jobs, their tasks, templates and notification endpoints.
func registerJobs(c *odata.Config) {
	c.Sets["Jobs"] = jobs{}
	c.Sets["Tasks"] = tasks{}
	c.Sets["JobTemplates"] = jobTemplates{}
	c.Sets["TaskTemplates"] = taskTemplates{}
	c.Sets["NotificationEndPoints"] = notificationEndpoints{}
	c.Calls["CancelJob"] = func(ctx context.Context, _ string, args odata.Entity) (*odata.Result, error) {
		id, _ := args["jobid"].(string)
		return nil, tooLate(of(ctx).CancelJobByID(ctx, guid(jobID, id)))
	}
	// An extension of this server: what became of the job, as JSON in a string.
	c.Calls["ExplainJob"] = func(ctx context.Context, _ string, args odata.Entity) (*odata.Result, error) {
		id, _ := args["jobid"].(string)
		e, err := of(ctx).ExplainJobByID(ctx, guid(jobID, id))
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(e)
		return &odata.Result{Value: string(text)}, err
	}
}

// tooLate is the 400 of what a job's state does not allow (documented for
// CancelJob).
func tooLate(err error) error {
	if ams.CodeOf(err) == ams.Conflict {
		return odata.Errorf(http.StatusBadRequest, "%s", err.Error())
	}
	return err
}

// jobs serves the Jobs set: the jobs of both APIs.
type jobs struct{}

func (jobs) Get(ctx context.Context, key string) (odata.Entity, error) {
	j, err := of(ctx).JobByID(ctx, guid(jobID, key))
	if err != nil {
		return nil, err
	}
	return jobEntity(j), nil
}

func (jobs) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindJobs(ctx, search(q))
	return page(found, err, jobEntity)
}

// Create makes a job of the tasks that came with it, or of a job template.
func (jobs) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	name, _ := in.Values["Name"].(string)
	priority, _ := in.Values["Priority"].(int64)
	r := account.TaskJobRequest{Name: name, Priority: int(priority), Subscriptions: readSubscriptions(in.Values["JobNotificationSubscriptions"], "TargetJobState")}
	for _, ref := range in.Bind["InputMediaAssets"] {
		r.Inputs = append(r.Inputs, guid(assetID, ref.Key))
	}
	var err error
	if template, _ := in.Values["TemplateId"].(string); template != "" {
		if len(in.Inline["Tasks"]) > 0 {
			return nil, odata.BadRequest("A job with a TemplateId has the tasks of the template, and none of its own.")
		}
		r.Template = guid(jobTemplateID, template)
		r.Tasks, err = templateTasks(ctx, r.Template)
	} else {
		r.Tasks, err = readTasks(in.Inline["Tasks"])
	}
	if err != nil {
		return nil, err
	}
	j, err := of(ctx).SubmitTasks(ctx, r)
	if err != nil {
		return nil, err
	}
	e := jobEntity(j)
	made := []odata.Entity{}
	for i := range j.Tasks {
		made = append(made, taskEntity(&account.JobTask{Job: j, Task: &j.Tasks[i]}))
	}
	e["Tasks"] = made
	return &odata.Result{Entity: e}, nil
}

// readTasks reads the tasks that came with a job.
func readTasks(inserts []*odata.Insert) (list []account.TaskRequest, err error) {
	for i, in := range inserts {
		v := in.Values
		spec := readSpec(v)
		spec.Body, _ = v["TaskBody"].(string)
		body, err := parseTaskBody(spec.Body)
		if err != nil {
			return nil, odata.BadRequest("Task %d: %v", i, err)
		}
		priority, _ := v["Priority"].(int64)
		list = append(list, account.TaskRequest{
			Spec: spec, Priority: int(priority), Inputs: body.inputs, Outputs: body.outputs,
			Subscriptions: readSubscriptions(v["TaskNotificationSubscriptions"], "TargetTaskState"),
		})
	}
	return list, nil
}

// readSpec reads what tasks and task templates have in common.
func readSpec(v odata.Entity) (s ams.TaskSpec) {
	for name, at := range map[string]*string{
		"Name": &s.Name, "Configuration": &s.Configuration, "EncryptionKeyId": &s.KeyID,
		"EncryptionScheme": &s.Scheme, "EncryptionVersion": &s.Version, "InitializationVector": &s.IV,
	} {
		*at, _ = v[name].(string)
	}
	processor, _ := v["MediaProcessorId"].(string)
	s.Processor = cmp.Or(guid(processorID, processor), processor) // what is none is refused by its whole text
	options, _ := v["Options"].(int64)
	s.Options = int(options)
	return s
}

// readSubscriptions reads those of a job or a task.
func readSubscriptions(v any, states string) (list []ams.Subscription) {
	items, _ := v.([]any)
	for _, item := range items {
		e, _ := item.(odata.Entity)
		id, _ := e["NotificationEndPointId"].(string)
		state, _ := e[states].(int64)
		progress, _ := e["IncludeTaskProgress"].(bool)
		list = append(list, ams.Subscription{Endpoint: endpointGUID(id), States: ams.SubscribedStates(state), Progress: progress})
	}
	return list
}

// templateTasks are the tasks of a job template.
func templateTasks(ctx context.Context, id string) (list []account.TaskRequest, err error) {
	t, err := of(ctx).JobTemplate(ctx, id)
	if err != nil {
		if ams.CodeOf(err) == ams.NotFound {
			err = odata.Errorf(http.StatusNotFound, "The job template '%s' was not found.", jobTemplateID+id)
		}
		return nil, err
	}
	bodies, err := parseJobTemplateBody(t.Body)
	if err != nil {
		return nil, err
	}
	return pair(bodies, t.Tasks)
}

// pair makes tasks of what the body of a job template says, in its order, and
// of its task templates.
func pair(bodies []taskBody, templates []ams.TaskTemplate) (list []account.TaskRequest, err error) {
	if len(bodies) != len(templates) {
		return nil, odata.BadRequest("The JobTemplateBody has %d tasks, but there are %d TaskTemplates.", len(bodies), len(templates))
	}
	used := map[string]bool{}
	for _, b := range bodies {
		i := slices.IndexFunc(templates, func(t ams.TaskTemplate) bool { return t.ID == b.template })
		if i < 0 || used[b.template] {
			return nil, odata.BadRequest("The taskTemplateId of each task in the JobTemplateBody must be the Id of one of the TaskTemplates.")
		}
		used[b.template] = true
		spec := templates[i].Spec
		spec.Body = b.String()
		list = append(list, account.TaskRequest{Spec: spec, Inputs: b.inputs, Outputs: b.outputs})
	}
	return list, nil
}

// Update changes the priority, which is all that a job lets change.
func (jobs) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	id := guid(jobID, key)
	if _, err := of(ctx).JobByID(ctx, id); err != nil {
		return nil, err
	}
	if number, ok := change["Priority"].(int64); ok {
		return nil, of(ctx).Prioritize(ctx, id, int(number))
	}
	return nil, nil
}

func (jobs) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	return nil, tooLate(of(ctx).DeleteJobByID(ctx, guid(jobID, key)))
}

func (jobs) Related(ctx context.Context, key, navigation string, q *odata.Query) (*odata.Page, error) {
	j, err := of(ctx).JobByID(ctx, guid(jobID, key))
	if err != nil {
		return nil, err
	}
	switch navigation {
	case "Tasks":
		var all []odata.Entity
		for i := range j.Tasks {
			all = append(all, taskEntity(&account.JobTask{Job: j, Task: &j.Tasks[i]}))
		}
		return q.Apply(all)
	case "InputMediaAssets":
		return assetsNamed(ctx, jobInputs(j), q)
	case "OutputMediaAssets":
		var outputs []ams.TaskOutput
		for i := range j.Tasks {
			outputs = append(outputs, taskOutputs(&j.Tasks[i])...)
		}
		return assetsNamed(ctx, byIndex(outputs), q)
	}
	return nil, odata.NotFound(navigation)
}

// assetsNamed answers q from assets in the order of their names.
func assetsNamed(ctx context.Context, names []string, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).AssetsNamed(ctx, names)
	if err != nil {
		return nil, err
	}
	entity := assetEntity(ctx)
	all := []odata.Entity{}
	for _, a := range found {
		all = append(all, entity(a))
	}
	return q.Apply(all)
}

// jobInputs are the names of a job's input assets, in order.
func jobInputs(j *ams.Job) (names []string) {
	var walk func(in ams.JobInput)
	walk = func(in ams.JobInput) {
		if in.Kind == ams.InputAsset {
			names = append(names, in.Asset)
		}
		for _, sub := range in.Inputs {
			walk(sub)
		}
	}
	walk(j.Input)
	return names
}

// taskOutputs are the outputs of a task of either API.
func taskOutputs(t *ams.Task) []ams.TaskOutput {
	if t.Spec == nil {
		return []ams.TaskOutput{{Index: t.Index, Asset: t.Asset}}
	}
	return t.Outputs
}

func byIndex(outputs []ams.TaskOutput) (names []string) {
	slices.SortStableFunc(outputs, func(a, b ams.TaskOutput) int { return a.Index - b.Index })
	for _, o := range outputs {
		names = append(names, o.Asset)
	}
	return names
}

func jobEntity(j *ams.Job) odata.Entity {
	e := odata.Entity{
		"Id": jobID + j.ID, "Name": optional(j.V2Name()), "Created": j.Created, "LastModified": j.LastModified,
		"StartTime": moment(j.Started), "EndTime": moment(j.Ended), "Priority": j.Number(), "State": j.State.Number(),
		"RunningDuration": ran(j.Started, j.Ended), "JobNotificationSubscriptions": writeSubscriptions(j.Subscriptions, "TargetJobState"),
	}
	if j.Template != "" {
		e["TemplateId"] = jobTemplateID + j.Template
	}
	return e
}

// moment is a time that is null while it has not come.
func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// ran is how long something has run, in whole milliseconds.
func ran(from, to time.Time) float64 {
	switch {
	case from.IsZero():
		return 0
	case to.IsZero():
		to = time.Now()
	}
	return float64(max(0, to.Sub(from).Milliseconds()))
}

func writeSubscriptions(list []ams.Subscription, states string) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, odata.Entity{"NotificationEndPointId": notificationID + s.Endpoint, states: int(s.States), "IncludeTaskProgress": s.Progress})
	}
	return out
}

// tasks serves the Tasks set: those of the jobs of both APIs.
type tasks struct{}

func (tasks) Get(ctx context.Context, key string) (odata.Entity, error) {
	t, err := of(ctx).Task(ctx, guid(taskID, key))
	if err != nil {
		return nil, err
	}
	return taskEntity(t), nil
}

func (tasks) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindTasks(ctx, search(q))
	return page(found, err, taskEntity)
}

func (tasks) Related(ctx context.Context, key, navigation string, q *odata.Query) (*odata.Page, error) {
	t, err := of(ctx).Task(ctx, guid(taskID, key))
	if err != nil {
		return nil, err
	}
	switch navigation {
	case "InputMediaAssets":
		names := t.Task.Inputs
		if t.Task.Spec == nil {
			names = jobInputs(t.Job)
		}
		return assetsNamed(ctx, names, q)
	case "OutputMediaAssets":
		return assetsNamed(ctx, byIndex(slices.Clone(taskOutputs(t.Task))), q)
	}
	return nil, odata.NotFound(navigation)
}

func taskEntity(of *account.JobTask) odata.Entity {
	t := of.Task
	e := odata.Entity{
		"Id": taskID + t.ID, "Name": optional(t.V2Name()), "MediaProcessorId": processorID + t.V2Processor(), "Priority": t.Number(),
		"StartTime": moment(t.Started), "EndTime": moment(t.Ended), "RunningDuration": ran(t.Started, t.Ended),
		"State": t.State.Number(), "Progress": t.Progress, "Options": 0,
		"TaskNotificationSubscriptions": writeSubscriptions(t.Subscriptions, "TargetTaskState"),
	}
	if t.State.Final() && !t.Started.IsZero() {
		e["PerfMessage"] = fmt.Sprintf("The task took %v, in %d attempts.", t.Ended.Sub(t.Started).Round(time.Millisecond), t.Attempt)
	}
	var events []any
	for _, ev := range t.Events {
		events = append(events, odata.Entity{"Code": ev.Code, "Message": optional(ev.Message), "TimeStamp": ev.Time})
	}
	e["HistoricalEvents"] = events
	if t.Error != nil {
		details := []any{odata.Entity{"Code": errorCode(t.Error.Code), "Message": t.Error.Message}}
		for _, d := range t.Error.Details {
			details = append(details, odata.Entity{"Code": d.Code, "Message": d.Message})
		}
		e["ErrorDetails"] = details
	}
	if s := t.Spec; s != nil {
		e["TaskBody"], e["Options"] = s.Body, s.Options
		for name, text := range map[string]string{"Configuration": s.Configuration, "EncryptionKeyId": s.KeyID,
			"EncryptionScheme": s.Scheme, "EncryptionVersion": s.Version, "InitializationVector": s.IV} {
			e[name] = optional(text)
		}
		return e
	}
	body := taskBody{outputs: []account.OutputPort{{N: t.Index}}}
	for n := range max(1, len(jobInputs(of.Job))) {
		body.inputs = append(body.inputs, account.Port{N: n})
	}
	e["TaskBody"], e["Configuration"] = body.String(), presetText(t.Preset)
	return e
}

// presetText is a v3 preset as the configuration of a task: its name, or its
// properties.
func presetText(p ams.Preset) string {
	var named struct {
		PresetName string `json:"presetName"`
	}
	if json.Unmarshal(p.Body, &named) == nil && named.PresetName != "" {
		return named.PresetName
	}
	return string(p.Body)
}

// errorCode is the code of a failed task as v2 had it (documented; which v3
// code is which is inferred).
func errorCode(c ams.JobErrorCode) string {
	switch c {
	case ams.DownloadNotAccessible:
		return "ErrorDownloadingInputAssetMalformedContent"
	case ams.DownloadTransientError:
		return "ErrorDownloadingInputAssetServiceFailure"
	case ams.UploadNotAccessible, ams.UploadTransientError:
		return "ErrorUploadingOutputAsset"
	case ams.ConfigurationUnsupported:
		return "ErrorParsingConfiguration"
	case ams.ContentMalformed:
		return "ErrorExecutingTaskMalformedContent"
	case ams.ContentUnsupported:
		return "ErrorExecutingTaskUnsupportedFormat"
	case ams.ServiceTransientError:
		return "TransientError"
	}
	return "ErrorProcessingTask"
}

// jobTemplates serves the JobTemplates set.
type jobTemplates struct{}

func (jobTemplates) Get(ctx context.Context, key string) (odata.Entity, error) {
	t, err := of(ctx).JobTemplate(ctx, guid(jobTemplateID, key))
	if err != nil {
		return nil, err
	}
	return jobTemplateEntity(t), nil
}

func (jobTemplates) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindJobTemplates(ctx, search(q))
	return page(found, err, jobTemplateEntity)
}

func (jobTemplates) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	t := ams.JobTemplate{}
	t.Name, _ = in.Values["Name"].(string)
	t.Body, _ = in.Values["JobTemplateBody"].(string)
	kind, _ := in.Values["TemplateType"].(int64)
	inputs, _ := in.Values["NumberofInputAssets"].(int64)
	if t.Kind = int(kind); inputs < 0 || inputs > maxPorts {
		return nil, odata.BadRequest("NumberofInputAssets is not 0 to %d.", maxPorts)
	}
	t.Inputs = int(inputs)
	for i, sub := range in.Inline["TaskTemplates"] {
		id, _ := sub.Values["Id"].(string)
		task := ams.TaskTemplate{ID: guid(taskTemplateID, id), Spec: readSpec(sub.Values)}
		if task.ID = normalGUID(task.ID); task.ID == "" {
			return nil, odata.BadRequest("Task template %d: the Id '%s' is not '%s' and a guid.", i, id, taskTemplateID)
		}
		task.Description, _ = sub.Values["Description"].(string)
		in, _ := sub.Values["NumberofInputAssets"].(int64)
		out, _ := sub.Values["NumberofOutputAssets"].(int64)
		task.Inputs, task.Outputs = int(in), int(out)
		t.Tasks = append(t.Tasks, task)
	}
	bodies, err := parseJobTemplateBody(t.Body)
	if err != nil {
		return nil, err
	}
	tasks, err := pair(bodies, t.Tasks)
	if err != nil {
		return nil, err
	}
	made, err := of(ctx).CreateJobTemplate(ctx, t, tasks)
	if err != nil {
		return nil, err
	}
	e := jobTemplateEntity(made)
	parts := []odata.Entity{}
	for i := range made.Tasks {
		parts = append(parts, taskTemplateEntity(&made.Tasks[i]))
	}
	e["TaskTemplates"] = parts
	return &odata.Result{Entity: e}, nil
}

func (jobTemplates) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	existed, err := of(ctx).DeleteJobTemplate(ctx, guid(jobTemplateID, key))
	if err == nil && !existed {
		err = odata.NotFound("JobTemplates")
	}
	return nil, err
}

func (jobTemplates) Related(ctx context.Context, key, navigation string, q *odata.Query) (*odata.Page, error) {
	t, err := of(ctx).JobTemplate(ctx, guid(jobTemplateID, key))
	if err != nil {
		return nil, err
	}
	all := []odata.Entity{}
	for i := range t.Tasks {
		all = append(all, taskTemplateEntity(&t.Tasks[i]))
	}
	return q.Apply(all)
}

func jobTemplateEntity(t *ams.JobTemplate) odata.Entity {
	return odata.Entity{
		"Id": jobTemplateID + t.ID, "Name": optional(t.Name), "Created": t.Created, "LastModified": t.LastModified,
		"JobTemplateBody": t.Body, "NumberofInputAssets": t.Inputs, "TemplateType": t.Kind,
	}
}

// taskTemplates serves the TaskTemplates set.
type taskTemplates struct{}

func (taskTemplates) Get(ctx context.Context, key string) (odata.Entity, error) {
	t, err := of(ctx).TaskTemplate(ctx, guid(taskTemplateID, key))
	if err != nil {
		return nil, err
	}
	return taskTemplateEntity(t), nil
}

func (taskTemplates) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	found, err := of(ctx).FindTaskTemplates(ctx, search(q))
	return page(found, err, taskTemplateEntity)
}

func taskTemplateEntity(t *ams.TaskTemplate) odata.Entity {
	s := t.Spec
	return odata.Entity{
		"Id": taskTemplateID + t.ID, "Name": optional(s.Name), "Description": optional(t.Description), "Created": t.Created, "LastModified": t.LastModified,
		"Configuration": optional(s.Configuration), "MediaProcessorId": processorID + s.Processor, "Options": s.Options,
		"NumberofInputAssets": t.Inputs, "NumberofOutputAssets": t.Outputs,
		"EncryptionKeyId": optional(s.KeyID), "EncryptionScheme": optional(s.Scheme),
		"EncryptionVersion": optional(s.Version), "InitializationVector": optional(s.IV),
	}
}

// normalGUID is a guid in lower case, or "" for what is none.
func normalGUID(s string) string {
	if len(s) != 36 || strings.Trim(s, "0123456789abcdefABCDEF-") != "" || strings.Count(s, "-") != 4 {
		return ""
	}
	return strings.ToLower(s)
}
