package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// jobsCommand asks a running server about its jobs, over its API.
func jobsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "jobs", Short: "Ask a running server about its jobs"}
	data := cmd.PersistentFlags().String("data", os.Getenv("OPENAMS_DATA"), "data folder of the server (or OPENAMS_DATA)")
	asJSON := jsonFlag(cmd)
	explain := &cobra.Command{
		Use:   "explain [TRANSFORM/]JOB",
		Short: "Tell what was planned for a job, what ran, what it said, and what to do about a failure",
		Long: `explain tells of each task of a job what the encoder planned to make, which command
lines it ran and how long each took, how it ended, and the end of what a program
printed that failed. JOB is the name of a job, with its transform if several
transforms have one of the name, or the id of a job of v2.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if *data == "" {
				return errors.New("which data folder? Say --data DIR (or OPENAMS_DATA)")
			}
			text, err := os.ReadFile(endpointsFile(*data))
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("no server runs on %s", *data)
			}
			var e endpoints
			if err == nil {
				err = json.Unmarshal(text, &e)
			}
			if err != nil {
				return err
			}
			c, err := newClient(&e)
			if err != nil {
				return err
			}
			if err := c.signIn(cmd.Context()); err != nil {
				return err
			}
			x, err := c.explain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), x)
			}
			var b strings.Builder
			printExplanation(&b, x)
			_, err = io.WriteString(cmd.OutOrStdout(), printable(b.String()))
			return err
		},
	}
	cmd.AddCommand(explain)
	return cmd
}

// explain finds a job by what a person calls it.
func (c *client) explain(ctx context.Context, job string) (*account.Explanation, error) {
	get := func(transform, job string) (x *account.Explanation, err error) {
		err = c.call(ctx, http.MethodGet, "/transforms/"+url.PathEscape(transform)+"/jobs/"+url.PathEscape(job)+"/explanation", nil, &x)
		return x, err
	}
	if transform, name, ok := strings.Cut(job, "/"); ok {
		return get(transform, name)
	}
	if id := job[strings.LastIndexByte(job, ':')+1:]; uuid.Validate(id) == nil {
		if x, err := get(account.V2Jobs, id); err == nil {
			return x, nil
		}
	}
	var list struct {
		Value []struct {
			Name string `json:"name"`
		} `json:"value"`
	}
	if err := c.call(ctx, http.MethodGet, "/transforms", nil, &list); err != nil {
		return nil, err
	}
	var found *account.Explanation
	for _, t := range list.Value {
		x, err := get(t.Name, job)
		switch {
		case err != nil && !strings.Contains(err.Error(), "404"):
			return nil, err
		case err == nil && found != nil:
			return nil, fmt.Errorf("the transforms %s and %s both have a job %s: say which as TRANSFORM/JOB", found.Transform, x.Transform, job)
		case err == nil:
			found = x
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no transform has a job %s", job)
	}
	return found, nil
}

// printExplanation writes it for people.
func printExplanation(w io.Writer, x *account.Explanation) {
	fmt.Fprintf(w, "Job %s", x.Job)
	if x.Transform != "" {
		fmt.Fprintf(w, " of the transform %s", x.Transform)
	}
	fmt.Fprintf(w, ": %s\n  created %s%s\n", x.State, clock(x.Created), ranFor(x.Started, x.Ended))
	for _, t := range x.Tasks {
		fmt.Fprintf(w, "\nTask %s (%s) into the asset %s: %s, %.0f %%, attempt %d%s\n", t.Label, t.ID, t.Asset, t.State, t.Progress, t.Attempts, ranFor(t.Started, t.Ended))
		if e := t.Error; e != nil {
			fmt.Fprintf(w, "  error   %s (%s, %s): %s\n  advice  %s\n", e.Code, e.Category, e.Retry, e.Message, e.Advice)
		}
		for _, r := range t.Reports {
			printAttempt(w, r)
		}
	}
}

func printAttempt(w io.Writer, r *ams.TaskReport) {
	fmt.Fprintf(w, "\n  Attempt %d by the worker %s%s\n", r.Attempt, r.Worker, ranFor(r.Started, r.Ended))
	if r.Ended.IsZero() {
		fmt.Fprintln(w, "    it has told no end: it is under way, or its worker vanished")
	}
	if r.Plan != nil {
		fmt.Fprintf(w, "    plan %s\n", r.Plan)
	}
	for _, run := range r.Runs {
		fmt.Fprintf(w, "    %s  %s, %.2f s, CPU %.2f s, exit status %d\n      %s\n", clock(run.Started), run.Program, run.Seconds, run.CPU, run.Exit, commandLine(run))
		for line := range strings.Lines(run.Log) {
			fmt.Fprintf(w, "      | %s\n", strings.TrimRight(line, "\r\n"))
		}
	}
	if r.LeftOut > 0 {
		fmt.Fprintf(w, "    and %d runs more\n", r.LeftOut)
	}
	if r.Cause != "" {
		fmt.Fprintf(w, "    it ended with: %s\n", strings.ReplaceAll(r.Cause, "\n", "\n      "))
	}
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ranFor says from when and how long something ran.
func ranFor(from, to time.Time) string {
	switch {
	case from.IsZero():
		return ""
	case to.IsZero():
		return ", since " + clock(from)
	}
	return fmt.Sprintf(", started %s, took %v", clock(from), to.Sub(from).Round(10*time.Millisecond))
}

// printable replaces what would move the reader's terminal: names and logs are
// the work of whoever uploaded the input.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return '�'
		}
		return r
	}, s)
}

// commandLine is a run as a shell would take it.
func commandLine(run ams.ProgramRun) string {
	words := []string{run.Program}
	for _, arg := range run.Arguments {
		if arg == "" || strings.ContainsAny(arg, " \t'\"\\$`&|;<>()*?[]#~!{}") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
