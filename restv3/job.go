package restv3

import (
	"cmp"
	"encoding/json"
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type jobProperties struct {
	Created         date              `json:"created"`
	State           ams.JobState      `json:"state"`
	Description     string            `json:"description,omitempty"`
	Input           *jobInput         `json:"input"`
	LastModified    date              `json:"lastModified"`
	Outputs         []jobOutput       `json:"outputs"`
	Priority        ams.Priority      `json:"priority"`
	CorrelationData map[string]string `json:"correlationData"`
	StartTime       date              `json:"startTime,omitzero"`
	EndTime         date              `json:"endTime,omitzero"`
}

// jobInput is a job input of any kind, both ways.
type jobInput struct {
	Type             string          `json:"@odata.type"`
	AssetName        string          `json:"assetName,omitempty"`
	BaseURI          string          `json:"baseUri,omitempty"`
	Files            *[]string       `json:"files,omitempty"` // clips always show it
	Start            json.RawMessage `json:"start,omitempty"`
	End              json.RawMessage `json:"end,omitempty"`
	Label            string          `json:"label,omitempty"`
	InputDefinitions json.RawMessage `json:"inputDefinitions,omitempty"`
	Inputs           []*jobInput     `json:"inputs,omitempty"`
}

type jobOutput struct {
	Type           string          `json:"@odata.type"`
	Error          *jobError       `json:"error,omitempty"`
	PresetOverride json.RawMessage `json:"presetOverride,omitempty"`
	State          ams.JobState    `json:"state"`
	Progress       int             `json:"progress"`
	Label          string          `json:"label"`
	StartTime      date            `json:"startTime,omitzero"`
	EndTime        date            `json:"endTime,omitzero"`
	AssetName      string          `json:"assetName"`
}

type jobError struct {
	Code     ams.JobErrorCode     `json:"code"`
	Message  string               `json:"message"`
	Category string               `json:"category"`
	Retry    string               `json:"retry"`
	Details  []ams.JobErrorDetail `json:"details"`
}

// outputAsset is the only kind of job output.
const outputAsset = discriminator + "JobOutputAsset"

func jobBody(r *http.Request, acc *account.Account, j *ams.Job) *arm.Resource {
	p := jobProperties{
		Created: date(j.Created), State: j.State, Description: j.Description, Input: inputBody(j.Input),
		LastModified: date(j.LastModified), Priority: j.Priority, CorrelationData: j.Correlation,
		StartTime: date(j.Started), EndTime: date(j.Ended),
	}
	if p.CorrelationData == nil {
		p.CorrelationData = map[string]string{}
	}
	for _, t := range j.Tasks {
		o := jobOutput{
			Type: outputAsset, State: t.State, Progress: int(t.Progress), Label: t.Label, AssetName: t.Asset,
			StartTime: date(t.Started), EndTime: date(t.Ended), Error: jobErrorBody(t.Error),
		}
		if t.Override {
			o.PresetOverride = presetBody(r, t.Preset)
		}
		p.Outputs = append(p.Outputs, o)
	}
	n := noun{id: "/transforms/" + cmp.Or(j.Transform, account.V2Jobs) + "/jobs/", typ: "/transforms/jobs"}
	return entity(acc, n, j.Name, p, stamps{j.CreatedBy, j.LastModifiedBy, j.Created, j.LastModified})
}

func jobErrorBody(e *ams.JobError) *jobError {
	if e == nil {
		return nil
	}
	out := &jobError{Code: e.Code, Message: e.Message, Category: e.Code.Category(), Retry: e.Code.Retry(), Details: e.Details}
	if out.Details == nil {
		out.Details = []ams.JobErrorDetail{}
	}
	return out
}

func inputBody(in ams.JobInput) *jobInput {
	out := &jobInput{
		Type: discriminator + string(in.Kind), AssetName: in.Asset, BaseURI: account.WithoutQuery(in.BaseURI),
		Start: in.Start, End: in.End, Label: in.Label, InputDefinitions: in.Definitions,
	}
	for _, sub := range in.Inputs {
		out.Inputs = append(out.Inputs, inputBody(sub))
	}
	switch in.Kind {
	case ams.InputList, ams.InputSequence:
		return out
	}
	files := make([]string, len(in.Files))
	for i, f := range in.Files {
		if in.Kind == ams.InputHTTP {
			f = account.WithoutQuery(f)
		}
		files[i] = f
	}
	out.Files = &files
	return out
}

func (in *jobInput) input() ams.JobInput {
	if in == nil {
		return ams.JobInput{}
	}
	out := ams.JobInput{
		Kind: ams.InputKind(typeName(in.Type)), Label: in.Label, Asset: in.AssetName, BaseURI: in.BaseURI,
		Start: compact(in.Start), End: compact(in.End), Definitions: compact(in.InputDefinitions),
	}
	if in.Files != nil {
		out.Files = *in.Files
	}
	for _, sub := range in.Inputs {
		out.Inputs = append(out.Inputs, sub.input())
	}
	return out
}

func putJob(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Properties struct {
			Description string    `json:"description"`
			Input       *jobInput `json:"input"`
			Outputs     []struct {
				AssetName      string          `json:"assetName"`
				Label          string          `json:"label"`
				PresetOverride json.RawMessage `json:"presetOverride"`
			} `json:"outputs"`
			Priority        ams.Priority      `json:"priority"`
			CorrelationData map[string]string `json:"correlationData"`
		} `json:"properties"`
	}
	if err := readModel(r, "Job", &body); err != nil {
		return err
	}
	p := body.Properties
	req := account.JobRequest{
		Description: p.Description, Input: p.Input.input(), Priority: p.Priority, Correlation: p.CorrelationData,
	}
	for _, o := range p.Outputs {
		out := account.JobOutput{Asset: o.AssetName, Label: o.Label}
		if given(o.PresetOverride) {
			preset, err := readPreset(o.PresetOverride)
			if err != nil {
				return err
			}
			out.Override = &preset
		}
		req.Outputs = append(req.Outputs, out)
	}
	j, err := acc.SubmitJob(r.Context(), r.PathValue("transformName"), r.PathValue("jobName"), req)
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusCreated, jobBody(r, acc, j))
}

func getJob(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	j, err := acc.Job(r.Context(), r.PathValue("transformName"), r.PathValue("jobName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, jobBody(r, acc, j))
}

// patchJob changes description and priority. Clients send the whole job
// (recorded): what can't change is ignored.
func patchJob(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Properties struct {
			Description optional[string] `json:"description"`
			Priority    *ams.Priority    `json:"priority"`
		} `json:"properties"`
	}
	if err := readPatch(r, "Job", &body); err != nil {
		return err
	}
	j, err := acc.UpdateJob(r.Context(), r.PathValue("transformName"), r.PathValue("jobName"), account.JobUpdate{
		Description: body.Properties.Description.pointer(), Priority: body.Properties.Priority,
	})
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, jobBody(r, acc, j))
}

func cancelJob(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	if err := acc.CancelJob(r.Context(), r.PathValue("transformName"), r.PathValue("jobName")); err != nil {
		return err
	}
	return arm.WriteEmpty(w, http.StatusOK)
}

// explainJob is an extension of this server: what became of the job, in detail.
func explainJob(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	e, err := acc.ExplainJob(r.Context(), r.PathValue("transformName"), r.PathValue("jobName"))
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, e)
}

func deleteJob(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	existed, err := acc.DeleteJob(r.Context(), r.PathValue("transformName"), r.PathValue("jobName"))
	return deleted(w, existed, err)
}

func listJobs(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	jobs, next, err := acc.Jobs(r.Context(), r.PathValue("transformName"), p.Query)
	if err != nil {
		return err
	}
	return writeList(w, r, p, jobs, next, func(j *ams.Job) *arm.Resource { return jobBody(r, acc, j) })
}
