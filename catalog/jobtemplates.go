package catalog

import (
	"strings"

	"github.com/openams/openams/ams"
)

var jobTemplates = table[ams.JobTemplate]{
	name: "job_templates", what: "job template",
	columns: []column[ams.JobTemplate]{
		{name: "account", at: func(t *ams.JobTemplate) any { return &t.Account }},
		{name: "id", at: func(t *ams.JobTemplate) any { return &t.ID }},
		{name: "name", at: func(t *ams.JobTemplate) any { return &t.Name }},
		{name: "kind", at: func(t *ams.JobTemplate) any { return &t.Kind }},
		{name: "inputs", at: func(t *ams.JobTemplate) any { return &t.Inputs }},
		{name: "created", at: func(t *ams.JobTemplate) any { return &t.Created }},
		{name: "last_modified", at: func(t *ams.JobTemplate) any { return &t.LastModified }},
	},
	rest: func(t *ams.JobTemplate) map[string]any { return map[string]any{"body": &t.Body} },
	key:  "Id",
	properties: map[string]field{
		"Id":                  {column: "id", kind: ident, prefix: "nb:jtid:UUID:"},
		"Name":                {column: "name", kind: text},
		"Created":             {column: "created", kind: date},
		"LastModified":        {column: "last_modified", kind: date},
		"NumberofInputAssets": {column: "inputs", kind: number},
		"TemplateType":        {column: "kind", kind: number},
		"JobTemplateBody":     {column: kept("body"), kind: text},
	},
}

var taskTemplates = table[ams.TaskTemplate]{
	name: "task_templates", what: "task template",
	columns: []column[ams.TaskTemplate]{
		{name: "account", at: func(t *ams.TaskTemplate) any { return &t.Account }},
		{name: "id", at: func(t *ams.TaskTemplate) any { return &t.ID }},
		{name: "template", at: func(t *ams.TaskTemplate) any { return &t.Template }},
		{name: "position", at: func(t *ams.TaskTemplate) any { return &t.Index }},
		{name: "name", at: func(t *ams.TaskTemplate) any { return &t.Spec.Name }},
		{name: "description", at: func(t *ams.TaskTemplate) any { return &t.Description }},
		{name: "processor", at: func(t *ams.TaskTemplate) any { return &t.Spec.Processor }},
		{name: "inputs", at: func(t *ams.TaskTemplate) any { return &t.Inputs }},
		{name: "outputs", at: func(t *ams.TaskTemplate) any { return &t.Outputs }},
		{name: "options", at: func(t *ams.TaskTemplate) any { return &t.Spec.Options }},
		{name: "created", at: func(t *ams.TaskTemplate) any { return &t.Created }},
		{name: "last_modified", at: func(t *ams.TaskTemplate) any { return &t.LastModified }},
	},
	rest: func(t *ams.TaskTemplate) map[string]any {
		return map[string]any{"configuration": &t.Spec.Configuration,
			"keyId": &t.Spec.KeyID, "scheme": &t.Spec.Scheme, "version": &t.Spec.Version, "iv": &t.Spec.IV}
	},
	key: "Id",
	properties: map[string]field{
		"Id":                   {column: "id", kind: ident, prefix: "nb:ttid:UUID:"},
		"Name":                 {column: "name", kind: text},
		"Description":          {column: "description", kind: text},
		"MediaProcessorId":     {column: "processor", kind: ident, prefix: "nb:mpid:UUID:"},
		"Created":              {column: "created", kind: date},
		"LastModified":         {column: "last_modified", kind: date},
		"NumberofInputAssets":  {column: "inputs", kind: number},
		"NumberofOutputAssets": {column: "outputs", kind: number},
		"Options":              {column: "options", kind: number},
		"Configuration":        {column: kept("configuration"), kind: text},
		"EncryptionKeyId":      {column: kept("keyId"), kind: text},
		"EncryptionScheme":     {column: kept("scheme"), kind: text},
		"EncryptionVersion":    {column: kept("version"), kind: text},
		"InitializationVector": {column: kept("iv"), kind: text},
	},
}

// JobTemplate finds a job template of an account by its guid, with its tasks.
func (tx *Tx) JobTemplate(account, id string) (*ams.JobTemplate, error) {
	t, err := jobTemplates.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	return t, taskTemplates.each(tx, func(_ int64, task *ams.TaskTemplate) error {
		t.Tasks = append(t.Tasks, *task)
		return nil
	}, "WHERE account = ? AND template = ? ORDER BY position", account, t.ID)
}

// FindJobTemplates searches the job templates of an account. They come without
// their tasks.
func (tx *Tx) FindJobTemplates(account string, s Search) (*Found[ams.JobTemplate], error) {
	return jobTemplates.search(tx, s, "account = ?", account)
}

// CountJobTemplates is how many job templates an account has.
func (tx *Tx) CountJobTemplates(account string) (int, error) {
	return jobTemplates.count(tx, "account = ?", account)
}

// InsertJobTemplate adds a job template with its tasks. A task template's id
// that the account has is Exists.
func (tx *Tx) InsertJobTemplate(t *ams.JobTemplate) error {
	if _, err := jobTemplates.insert(tx, t); err != nil {
		return err
	}
	for i := range t.Tasks {
		if _, err := taskTemplates.insert(tx, &t.Tasks[i]); err != nil {
			return err
		}
	}
	return nil
}

// DeleteJobTemplate deletes a job template with its tasks.
func (tx *Tx) DeleteJobTemplate(account, id string) error {
	return jobTemplates.deleteOne(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// TaskTemplate finds a task template of an account by its guid.
func (tx *Tx) TaskTemplate(account, id string) (*ams.TaskTemplate, error) {
	return taskTemplates.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
}

// FindTaskTemplates searches the task templates of an account.
func (tx *Tx) FindTaskTemplates(account string, s Search) (*Found[ams.TaskTemplate], error) {
	return taskTemplates.search(tx, s, "account = ?", account)
}
