package restv3

import (
	"encoding/json"
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type transformProperties struct {
	Created      date              `json:"created"`
	Description  string            `json:"description,omitempty"`
	LastModified date              `json:"lastModified"`
	Outputs      []transformOutput `json:"outputs"`
}

type transformOutput struct {
	OnError          ams.OnError     `json:"onError"`
	RelativePriority ams.Priority    `json:"relativePriority"`
	Preset           json.RawMessage `json:"preset"`
}

func transformBody(r *http.Request, acc *account.Account, t *ams.Transform) *arm.Resource {
	p := transformProperties{Created: date(t.Created), Description: t.Description, LastModified: date(t.LastModified)}
	for _, o := range t.Outputs {
		p.Outputs = append(p.Outputs, transformOutput{o.OnError, o.RelativePriority, presetBody(r, o.Preset)})
	}
	return entity(acc, transformNoun, t.Name, p, stamps{t.CreatedBy, t.LastModifiedBy, t.Created, t.LastModified})
}

// readTransform reads the body of a PUT or PATCH by readModel or readPatch.
func readTransform(r *http.Request, read func(*http.Request, string, any) error) (in account.TransformInput, err error) {
	var body struct {
		Properties struct {
			Description optional[string]  `json:"description"`
			Outputs     []transformOutput `json:"outputs"`
		} `json:"properties"`
	}
	if err := read(r, "Transform", &body); err != nil {
		return in, err
	}
	in.Description = body.Properties.Description.pointer()
	if body.Properties.Outputs == nil {
		return in, nil
	}
	in.Outputs = make([]ams.TransformOutput, len(body.Properties.Outputs))
	for i, o := range body.Properties.Outputs {
		preset, err := readPreset(o.Preset)
		if err != nil {
			return in, err
		}
		in.Outputs[i] = ams.TransformOutput{Preset: preset, OnError: o.OnError, RelativePriority: o.RelativePriority}
	}
	return in, nil
}

func putTransform(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	in, err := readTransform(r, readModel)
	if err != nil {
		return err
	}
	t, made, err := acc.CreateOrUpdateTransform(r.Context(), r.PathValue("transformName"), in)
	if err != nil {
		return err
	}
	return created(w, r, made, transformBody(r, acc, t))
}

func getTransform(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	t, err := acc.Transform(r.Context(), r.PathValue("transformName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, transformBody(r, acc, t))
}

func patchTransform(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	in, err := readTransform(r, readPatch)
	if err != nil {
		return err
	}
	t, err := acc.UpdateTransform(r.Context(), r.PathValue("transformName"), in)
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, transformBody(r, acc, t))
}

func deleteTransform(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	existed, err := acc.DeleteTransform(r.Context(), r.PathValue("transformName"))
	return deleted(w, existed, err)
}

func listTransforms(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	ts, next, err := acc.Transforms(r.Context(), p.Query)
	if err != nil {
		return err
	}
	return writeList(w, r, p, ts, next, func(t *ams.Transform) *arm.Resource { return transformBody(r, acc, t) })
}
