package encoder

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// Bounds of the report of an attempt, so that no job can fill the database.
const (
	maxRuns      = 24       // programs; of more, those that failed and the latest
	maxArguments = 16 << 10 // bytes of the arguments of one
	maxLog       = 8 << 10  // bytes of what it printed
	maxPlan      = 64 << 10 // bytes
	maxCause     = 4 << 10  // bytes
)

// Notes are what a worker remembers of an attempt at a task.
type notes struct {
	mu     sync.Mutex
	report ams.TaskReport
	names  []string // pairs: the path of a file on this machine, and what the report calls it
	dir    string   // the attempt's folder; the report names what lies in it without it
	sealed bool     // the task's configuration is nobody's to read, nor what follows from it
}

func newNotes(task *ams.Task, worker, dir string) *notes {
	return &notes{report: ams.TaskReport{Attempt: task.Attempt, Worker: worker, Started: time.Now().UTC()}, dir: dir, sealed: task.Spec.Has(ams.ProtectedConfiguration)}
}

// name says what a file of this machine is to be called. Nil notes take
// nothing.
func (r *notes) name(path, name string) {
	if r == nil || path == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = append(r.names, path, name)
}

// ran keeps a run of a program.
func (r *notes) ran(run ffmpeg.Ran) {
	r.mu.Lock()
	defer r.mu.Unlock()
	runs := &r.report.Runs
	if len(*runs) == maxRuns {
		drop := 0
		for i, old := range *runs {
			if old.Exit == 0 {
				drop = i
				break
			}
		}
		*runs = append((*runs)[:drop], (*runs)[drop+1:]...)
		r.report.LeftOut++
	}
	room := maxArguments
	var args []string
	if r.sealed {
		run.Args = []string{hidden}
	}
	for i, arg := range run.Args {
		if i > 0 && isSecret(run.Args[i-1]) {
			arg = hidden
		}
		if len(arg) > room {
			args = append(args, arg[:room]+"…")
			break
		}
		room -= len(arg)
		args = append(args, arg)
	}
	*runs = append(*runs, ams.ProgramRun{
		Program: run.Program, Arguments: args, Started: run.Started.UTC(), Seconds: run.Took.Seconds(), CPU: run.CPU.Seconds(),
		Exit: run.Exit, Log: run.Log[max(0, len(run.Log)-maxLog):],
	})
}

// planned keeps the plan.
func (r *notes) planned(p *Plan) {
	text, err := json.Marshal(p)
	if err != nil || len(text) > maxPlan || r.sealed {
		return // the command lines tell it too
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Plan = text
}

// ended keeps how the attempt ended; err is nil if it made its outputs.
func (r *notes) ended(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Ended = time.Now().UTC()
	if err != nil {
		r.report.Error, _ = errors.AsType[*ams.JobError](err)
		r.report.Cause = err.Error()
	}
}

// tell is the report so far, as anybody may read it who may read the job.
func (r *notes) tell() *ams.TaskReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Files that were copied lie in the folder, so they come first.
	places := strings.NewReplacer(append(r.names, r.dir+"/", "")...)
	clean := func(s string, limit int) string {
		s = withoutSecrets(places.Replace(s))
		if len(s) > limit {
			s = s[:limit] + "…"
		}
		return strings.ToValidUTF8(s, "?")
	}
	out := r.report
	out.Runs = nil
	for _, run := range r.report.Runs {
		args := make([]string, len(run.Arguments))
		for i, arg := range run.Arguments {
			args[i] = clean(arg, maxArguments)
		}
		run.Arguments, run.Log = args, clean(run.Log, maxLog)
		out.Runs = append(out.Runs, run)
	}
	out.Cause = clean(out.Cause, maxCause)
	if e := out.Error; e != nil {
		said := *e
		said.Message = clean(e.Message, maxCause)
		out.Error = &said
	}
	return &out
}

const hidden = "[hidden]"

// isSecret reports whether an option of ffmpeg takes a key.
func isSecret(option string) bool {
	switch strings.TrimLeft(option, "-") {
	case "decryption_key", "encryption_key", "key", "iv", "cryptokey", "cryptoiv", "headers", "cookies":
		return strings.HasPrefix(option, "-")
	}
	return false
}

var (
	urlQuery = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s?'"]*)\?[^\s'"]*`)
	userInfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s/?#'"@]*@`)
	keyValue = regexp.MustCompile(`(?i)\b(sig|key|token|secret|password|passwd|authorization|decryption_key|encryption_key)=[^\s&;:,'"]+`)
)

// withoutSecrets leaves out of a text what grants access: the queries of URLs,
// which hold signatures, the names and passwords in them, and values that are
// called a key, a signature or the like.
func withoutSecrets(s string) string {
	s = userInfo.ReplaceAllString(s, "${1}")
	s = urlQuery.ReplaceAllString(s, "${1}?"+hidden)
	return keyValue.ReplaceAllString(s, "${1}="+hidden)
}
