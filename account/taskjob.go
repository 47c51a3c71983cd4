package account

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/identity"
)

// Limits of jobs that name their tasks themselves (documented, but for
// subscriptions, templates and endpoints).
const (
	MaxTasks         = 30
	maxJobAssets     = 100
	maxJobName       = 256    // characters
	maxTaskName      = 4000   // characters
	maxConfiguration = 100000 // characters
	maxSubscriptions = 30
	maxTemplates     = 10000     // of an account
	maxEndpoints     = 1000      // notification endpoints of an account
	maxNumber        = 1<<31 - 1 // of priorities
)

// A TaskJobRequest is what a client asks SubmitTasks for.
type TaskJobRequest struct {
	Name          string // the label
	Inputs        []string
	Priority      int
	Template      string // guid of the job template that Tasks came from; empty: none
	Subscriptions []ams.Subscription
	Tasks         []TaskRequest
}

// A TaskRequest is a task of a TaskJobRequest.
type TaskRequest struct {
	Spec          ams.TaskSpec
	Priority      int
	Subscriptions []ams.Subscription
	Inputs        []Port
	Outputs       []OutputPort
}

// A Port is an asset of a job as its tasks name it.
type Port struct {
	Output bool // JobOutputAsset, which a task makes; else JobInputAsset
	N      int
}

// String is the port as v2 spells it.
func (p Port) String() string {
	if p.Output {
		return fmt.Sprintf("JobOutputAsset(%d)", p.N)
	}
	return fmt.Sprintf("JobInputAsset(%d)", p.N)
}

// An OutputPort is an asset that a task makes, and how.
type OutputPort struct {
	N              int
	Name           string // label of the asset; empty: after the job
	Options        ams.AssetOptions
	FormatOption   int
	StorageAccount string // empty: the account's primary one
}

// SubmitTasks queues a job that names its tasks itself, as v2 has it; Inputs
// are the guids of its assets. It makes the output assets in the transaction
// that writes the job, and refuses, as SubmitJob does, what can be known to
// fail.
func (a *Account) SubmitTasks(ctx context.Context, r TaskJobRequest) (job *ams.Job, err error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	needs, err := graph(r)
	if err != nil {
		return nil, err
	}
	if job, err = a.newTaskJob(ctx, r, needs); err != nil {
		return nil, err
	}
	outputs, err := a.outputAssets(ctx, job, r)
	if err != nil {
		return nil, err
	}
	if err := a.s.jobs.admit(ctx, a, "jobs in the account", a.s.Limits.Jobs); err != nil {
		return nil, err
	}
	for range outputs {
		if err := a.s.assets.admit(ctx, a, "assets in the account", a.s.Limits.Assets); err != nil {
			return nil, err
		}
	}
	return job, a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		inputs, err := a.inputAssets(tx, r)
		if err != nil {
			return err
		}
		job.Input = ams.JobInput{Kind: ams.InputList}
		for _, in := range inputs {
			job.Input.Inputs = append(job.Input.Inputs, ams.JobInput{Kind: ams.InputAsset, Asset: in.Name})
		}
		if err := checkEndpoints(tx, a.ID, job); err != nil {
			return err
		}
		for _, o := range outputs {
			if err := recordAsset(tx, o.asset, o.container); err != nil {
				return err
			}
		}
		for i := range job.Tasks {
			t := &job.Tasks[i]
			t.Inputs = nil // f may run twice
			var parents []string
			for _, p := range r.Tasks[i].Inputs {
				from := outputs[p.N]
				if !p.Output {
					from.asset = inputs[p.N]
				}
				t.Inputs = append(t.Inputs, from.asset.Name)
				parents = append(parents, from.asset.ID)
			}
			for _, o := range r.Tasks[i].Outputs {
				if err := tx.InsertAssetParents(a.ID, outputs[o.N].asset.ID, parents...); err != nil {
					return err
				}
			}
		}
		return tx.InsertJob(job)
	})
}

// check refuses what breaks a limit.
func (r *TaskJobRequest) check() error {
	switch {
	case utf8.RuneCountInString(r.Name) > maxJobName:
		return ams.Invalidf("Name", "The name of the job is longer than %d characters.", maxJobName)
	case len(r.Tasks) == 0:
		return ams.Invalidf("Tasks", "A job needs at least one task.")
	case len(r.Tasks) > MaxTasks:
		return ams.Invalidf("Tasks", "A job may have at most %d tasks.", MaxTasks)
	case len(r.Inputs) > maxJobAssets:
		return ams.Invalidf("InputMediaAssets", "A job may have at most %d input assets.", maxJobAssets)
	case r.Priority < -maxNumber || r.Priority > maxNumber:
		return ams.Invalidf("Priority", "The priority has more than 32 bits.")
	}
	if err := checkSubscriptions(r.Subscriptions); err != nil {
		return err
	}
	for i := range r.Tasks {
		if err := r.Tasks[i].check(); err != nil {
			return about(err, "Tasks", "Task %d: %s", i, err)
		}
	}
	return nil
}

func (t *TaskRequest) check() error {
	switch {
	case utf8.RuneCountInString(t.Spec.Name) > maxTaskName:
		return ams.Invalidf("Name", "its name is longer than %d characters.", maxTaskName)
	case utf8.RuneCountInString(t.Spec.Configuration) > maxConfiguration:
		return ams.Invalidf("Configuration", "its Configuration is longer than %d characters.", maxConfiguration)
	case t.Spec.Options < 0 || t.Spec.Options > ams.ProtectedConfiguration|ams.DoNotDeleteOutputAssetOnFailure|ams.DoNotCancelOnJobFailure:
		return ams.Invalidf("Options", "its Options are not a sum of 1, 2 and 4.")
	case t.Priority < -maxNumber || t.Priority > maxNumber:
		return ams.Invalidf("Priority", "its priority has more than 32 bits.")
	}
	return checkSubscriptions(t.Subscriptions)
}

func checkSubscriptions(list []ams.Subscription) error {
	if len(list) > maxSubscriptions {
		return ams.Invalidf("", "There are more than %d notification subscriptions.", maxSubscriptions)
	}
	for _, s := range list {
		if s.States < ams.NoStates || s.States > ams.AllStates {
			return ams.Invalidf("", "The target state of a notification subscription is not 0, 1 or 2.")
		}
	}
	return nil
}

// checkEndpoints makes sure that the subscriptions name endpoints of the
// account.
func checkEndpoints(tx *catalog.Tx, account string, job *ams.Job) error {
	all := slices.Clone(job.Subscriptions)
	for i := range job.Tasks {
		all = append(all, job.Tasks[i].Subscriptions...)
	}
	for _, s := range all {
		if _, err := tx.NotificationEndpoint(account, s.Endpoint); err != nil {
			return about(err, "", "There is no notification endpoint '%s'.", s.Endpoint)
		}
	}
	return nil
}

// graph finds, for each task, the positions of the tasks that make its inputs.
func graph(r TaskJobRequest) (needs [][]int, err error) {
	maker := map[int]int{}
	for i, t := range r.Tasks {
		if len(t.Inputs) == 0 || len(t.Outputs) == 0 {
			return nil, ams.Invalidf("TaskBody", "Task %d: it needs at least one input asset and one output asset.", i)
		}
		for _, o := range t.Outputs {
			if other, made := maker[o.N]; made {
				return nil, ams.Invalidf("TaskBody", "Task %d: %s is an output of task %d already.", i, Port{true, o.N}, other)
			}
			maker[o.N] = i
		}
	}
	needs = make([][]int, len(r.Tasks))
	for i, t := range r.Tasks {
		for _, p := range t.Inputs {
			if !p.Output {
				if p.N >= len(r.Inputs) {
					return nil, ams.Invalidf("TaskBody", "Task %d: there is no %s: the job has %d input assets.", i, p, len(r.Inputs))
				}
				continue
			}
			from, made := maker[p.N]
			if !made {
				return nil, ams.Invalidf("TaskBody", "Task %d: no task has the output %s.", i, p)
			}
			if !slices.Contains(needs[i], from) {
				needs[i] = append(needs[i], from)
			}
		}
	}
	// Take away, again and again, what needs nothing that is left.
	done := make([]bool, len(needs))
	for left := len(needs); left > 0; {
		before := left
		for i := range needs {
			if !done[i] && !slices.ContainsFunc(needs[i], func(n int) bool { return !done[n] }) {
				done[i] = true
				left--
			}
		}
		if left == before {
			return nil, ams.Invalidf("TaskBody", "The tasks form a cycle: task %d needs what itself makes possible.", slices.Index(done, false))
		}
	}
	return needs, nil
}

// newTaskJob is the job that r asks for, queued, but for its assets.
func (a *Account) newTaskJob(ctx context.Context, r TaskJobRequest, needs [][]int) (*ams.Job, error) {
	now, by := a.s.now(), caller(ctx)
	job := &ams.Job{
		Account: a.ID, ID: uuid.NewString(), Label: r.Name, Description: r.Name, Rank: r.Priority, Priority: nearest(r.Priority), State: ams.Queued,
		Template: r.Template, Subscriptions: r.Subscriptions,
		Created: now, LastModified: now, CreatedBy: by, LastModifiedBy: by,
	}
	job.Name = job.ID
	for i, t := range r.Tasks {
		preset, err := a.taskPreset(ctx, t.Spec, len(t.Inputs), len(t.Outputs))
		if err != nil {
			return nil, about(err, "Tasks", "Task %d: %s", i, err)
		}
		spec := t.Spec
		if spec.Has(ams.ProtectedConfiguration) {
			preset.Body = nil // TaskPreset decrypts it again: it is not to lie in a record or a log
		}
		job.Tasks = append(job.Tasks, ams.Task{
			ID: uuid.NewString(), Index: i, Label: fmt.Sprintf("%s_%d", preset.Type, i), Preset: preset, Spec: &spec,
			OnError: ams.StopProcessingJob, Rank: t.Priority, Priority: nearest(t.Priority), State: ams.Queued,
			Needs: needs[i], Subscriptions: t.Subscriptions,
		})
	}
	return job, nil
}

// nearest is the priority in the spelling of v3.
func nearest(number int) ams.Priority {
	switch {
	case number > 0:
		return ams.High
	case number < 0:
		return ams.Low
	}
	return ams.Normal
}

// TaskPreset is the preset of a task in the clear, for who runs it. It is an
// error if the content key of an encrypted configuration is gone.
func (a *Account) TaskPreset(ctx context.Context, t *ams.Task) (ams.Preset, error) {
	if t.Spec == nil || !t.Spec.Has(ams.ProtectedConfiguration) {
		return t.Preset, nil
	}
	return a.taskPreset(ctx, *t.Spec, len(t.Inputs), len(t.Outputs))
}

// taskPreset is what the configuration of a task with so many input and output
// assets means to its processor.
func (a *Account) taskPreset(ctx context.Context, s ams.TaskSpec, inputs, outputs int) (ams.Preset, error) {
	p, ok := ams.ProcessorByID(s.Processor)
	if !ok {
		return ams.Preset{}, ams.Invalidf("MediaProcessorId", "there is no media processor '%s'.", s.Processor)
	}
	configuration, err := a.configuration(ctx, s)
	if err != nil {
		return ams.Preset{}, err
	}
	if a.s.TaskPreset == nil {
		return ams.Preset{}, ams.Errorf(ams.Unsupported, "this server runs no tasks.")
	}
	preset, err := a.s.TaskPreset(p.Name, configuration, inputs, outputs)
	if err != nil && s.Has(ams.ProtectedConfiguration) && !a.seesKeys(ctx) {
		return ams.Preset{}, undecrypted(s)
	}
	return preset, err
}

// seesKeys reports whether the caller may read the configuration keys of the
// account.
func (a *Account) seesKeys(ctx context.Context) bool {
	p := identity.FromContext(ctx)
	return p != nil && p.May("Microsoft.Media/mediaservices/assets/getEncryptionKey/action", a.resourceID(""))
}

// undecrypted refuses an encrypted configuration. What is wrong with it, once it
// is decrypted, is for who may see the key: from the difference others could read
// what is encrypted by it, byte for byte.
func undecrypted(s ams.TaskSpec) error {
	return ams.Invalidf("Configuration", "its configuration cannot be decrypted with the content key '%s', or says nothing that its processor can do.", s.KeyID)
}

// configuration is the configuration of a task in the clear. One that is
// encrypted is so by AES in CBC mode, by a configuration key of the account
// (read in a client of AMS).
func (a *Account) configuration(ctx context.Context, s ams.TaskSpec) (string, error) {
	if !s.Has(ams.ProtectedConfiguration) {
		return s.Configuration, nil
	}
	var key *ams.Key
	err := a.s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		key, err = tx.Key(a.ID, bareKey(s.KeyID))
		return referred(err, "EncryptionKeyId", "its EncryptionKeyId '%s' is no content key's.", s.KeyID)
	})
	if err != nil {
		return "", err
	}
	if key.Type != ams.ConfigurationKey {
		return "", ams.Invalidf("EncryptionKeyId", "its EncryptionKeyId names a content key of type %d, not %d.", key.Type, ams.ConfigurationKey)
	}
	iv, err := base64.StdEncoding.DecodeString(s.IV)
	if err != nil || len(iv) != aes.BlockSize {
		return "", ams.Invalidf("InitializationVector", "its InitializationVector is not 16 bytes in base64.")
	}
	wrong := undecrypted(s)
	text, err := base64.StdEncoding.DecodeString(s.Configuration)
	if err != nil || len(text) == 0 || len(text)%aes.BlockSize != 0 {
		return "", wrong
	}
	block, err := aes.NewCipher(key.Value)
	if err != nil {
		return "", err
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, text)
	pad := int(text[len(text)-1])
	if pad == 0 || pad > aes.BlockSize || !utf8.Valid(text[:len(text)-pad]) {
		return "", wrong
	}
	return string(text[:len(text)-pad]), nil
}

// A newAsset is an asset about to be made.
type newAsset struct {
	asset     *ams.Asset
	container *ams.Container
}

// outputAssets are the assets that the job's tasks will fill, by the n of
// JobOutputAsset(n).
func (a *Account) outputAssets(ctx context.Context, job *ams.Job, r TaskJobRequest) (map[int]newAsset, error) {
	made := map[int]newAsset{}
	suffix := job.Label
	if suffix == "" {
		suffix = "nb:jid:UUID:" + job.ID
	}
	for i, t := range r.Tasks {
		p, _ := ams.ProcessorByID(t.Spec.Processor) // taskPreset has found it
		for _, o := range t.Outputs {
			if !p.Makes(o.Options) {
				return nil, ams.Errorf(ams.Unsupported, "Task %d: the processor '%s' makes no files that fit the assetCreationOptions %d.", i, p.Name, o.Options)
			}
			label := o.Name
			if label == "" {
				label = Port{true, o.N}.String() + "_" + suffix
			}
			asset, err := a.labelled(ctx, AssetInput{Label: &label, StorageAccount: o.StorageAccount, Options: o.Options, FormatOption: o.FormatOption})
			if err != nil {
				return nil, err
			}
			container, err := a.checkAsset(asset)
			if err != nil {
				return nil, err
			}
			made[o.N] = newAsset{asset, container}
			job.Tasks[i].Outputs = append(job.Tasks[i].Outputs, ams.TaskOutput{Index: o.N, Asset: asset.Name})
		}
		job.Tasks[i].Asset = job.Tasks[i].Outputs[0].Asset
	}
	return made, nil
}

// inputAssets finds the assets that r names, and makes sure that each that a
// task reads has a file to begin with.
func (a *Account) inputAssets(tx *catalog.Tx, r TaskJobRequest) ([]*ams.Asset, error) {
	read := map[int]bool{}
	for _, t := range r.Tasks {
		for _, p := range t.Inputs {
			read[p.N] = read[p.N] || !p.Output
		}
	}
	var inputs []*ams.Asset
	for i, id := range r.Inputs {
		asset, err := tx.AssetByID(a.ID, id)
		if err != nil {
			return nil, about(err, "InputMediaAssets", "The input asset 'nb:cid:UUID:%s' of the job was not found.", strings.ToLower(id))
		}
		inputs = append(inputs, asset)
		if !read[i] {
			continue
		}
		files, err := tx.AssetFiles(a.ID, asset.ID)
		if err != nil {
			return nil, err
		}
		// No files at all: the blobs are what there is, as in v3.
		if len(files) > 0 && PrimaryFile(files) == nil {
			return nil, ams.Invalidf("InputMediaAssets", "The primary file of the input asset 'nb:cid:UUID:%s' can't be determined: set IsPrimary of one of its %d files.", asset.ID, len(files))
		}
	}
	return inputs, nil
}

// PrimaryFile is the file that a task over an asset with these files begins
// with: the primary one, or the one that is it without doubt; nil if there is
// none.
func PrimaryFile(files []*ams.AssetFile) *ams.AssetFile {
	for _, f := range files {
		if f.Primary {
			return f
		}
	}
	return mainFile(files)
}

// JobByID finds a job of either API by its guid, with its tasks.
func (a *Account) JobByID(ctx context.Context, id string) (job *ams.Job, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		job, err = a.jobByID(tx, id)
		return err
	})
	return job, err
}

func (a *Account) jobByID(tx *catalog.Tx, id string) (*ams.Job, error) {
	job, err := tx.JobByID(id)
	if err == nil && job.Account != a.ID {
		return nil, ams.Errorf(ams.NotFound, "The job was not found.")
	}
	return job, err
}

// FindJobs searches the jobs of both APIs. They come without their tasks.
func (a *Account) FindJobs(ctx context.Context, s catalog.Search) (found *catalog.Found[ams.Job], err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err = tx.FindJobs(a.ID, s)
		return err
	})
	return found, err
}

// A JobTask is a task with the job that it is of.
type JobTask struct {
	Job  *ams.Job
	Task *ams.Task
}

// Task finds a task of either API by its guid.
func (a *Account) Task(ctx context.Context, id string) (t *JobTask, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		r, err := tx.Task(a.ID, id)
		if err != nil {
			return err
		}
		job, err := tx.TaskJob(r)
		t = &JobTask{job, &r.Task}
		return err
	})
	return t, err
}

// FindTasks searches the tasks of both APIs. The jobs of v2 tasks, which say
// all themselves, are left out.
func (a *Account) FindTasks(ctx context.Context, s catalog.Search) (*catalog.Found[JobTask], error) {
	found := new(catalog.Found[JobTask])
	return found, a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		records, err := tx.FindTasks(a.ID, s)
		if err != nil {
			return err
		}
		found.Count, found.Next = records.Count, records.Next
		for _, r := range records.Rows {
			t := &JobTask{Task: &r.Task}
			if r.Spec == nil {
				if t.Job, err = tx.TaskJob(r); err != nil {
					return err
				}
			}
			found.Rows = append(found.Rows, t)
		}
		return nil
	})
}

// AssetsNamed finds assets by their v3 names, in that order, without those
// that are gone.
func (a *Account) AssetsNamed(ctx context.Context, names []string) (assets []*ams.Asset, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		for _, name := range names {
			asset, err := tx.Asset(a.ID, name)
			if err == nil {
				assets = append(assets, asset)
			} else if ams.CodeOf(err) != ams.NotFound {
				return err
			}
		}
		return nil
	})
	return assets, err
}

// Prioritize changes the priority of a job, as v2 numbers it. It holds for what
// is still queued.
func (a *Account) Prioritize(ctx context.Context, id string, number int) error {
	if number < -maxNumber || number > maxNumber {
		return ams.Invalidf("Priority", "The priority has more than 32 bits.")
	}
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		job, err := a.jobByID(tx, id)
		if err != nil {
			return err
		}
		job.Rank, job.Priority = number, nearest(number)
		job.LastModified, job.LastModifiedBy = a.s.now(), caller(ctx)
		return tx.UpdateJob(job)
	})
}

// CancelJobByID cancels a job of either API as v2 does: one that is being
// canceled or has ended is a Conflict.
func (a *Account) CancelJobByID(ctx context.Context, id string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		job, err := a.jobByID(tx, id)
		if err != nil {
			return err
		}
		if job.State == ams.Canceling || job.State.Final() {
			return ams.Errorf(ams.Conflict, "The job can't be canceled: its state is %s.", job.State)
		}
		_, err = tx.CancelJob(a.ID, job.Transform, job.Name)
		return err
	})
}

// DeleteJobByID deletes a job of either API as v2 does: one that has not ended
// is a Conflict.
func (a *Account) DeleteJobByID(ctx context.Context, id string) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		job, err := a.jobByID(tx, id)
		if err != nil {
			return err
		}
		if !job.State.Final() {
			return ams.Errorf(ams.Conflict, "The job can't be deleted: its state is %s. Cancel it first.", job.State)
		}
		return tx.DeleteJob(a.ID, job.Transform, job.Name)
	})
}
