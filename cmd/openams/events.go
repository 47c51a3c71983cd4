package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/openams/openams/catalog"
	"github.com/openams/openams/notify"
)

// eventsCommand looks at the events of a data folder and sends them again. A
// running server delivers what it queues.
func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "See and replay the events that web hooks are told of",
		Long: `events shows what web hooks were told, what could not be delivered, and queues
events to be delivered again. A server that runs on the data folder delivers
them within seconds. Times are RFC 3339, or a duration before now such as 2h.`,
	}
	open := catalogFlag(cmd)
	asJSON := jsonFlag(cmd)
	with := func(cmd *cobra.Command, f func(context.Context, *catalog.DB) error) (err error) {
		db, err := open(cmd.Context())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		return f(cmd.Context(), db)
	}

	targets := &cobra.Command{
		Use:   "targets",
		Short: "List the targets with what waits for them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, func(ctx context.Context, db *catalog.DB) error {
				list, err := notify.Statuses(ctx, db)
				if err != nil {
					return err
				}
				if *asJSON {
					return printJSON(cmd.OutOrStdout(), list)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "NAME\tURL\tWAITING\tDEAD")
				for _, s := range list {
					fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", s.Name, s.Place, s.Waiting, s.Dead)
				}
				return w.Flush()
			})
		},
	}

	var from, to string
	span := func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&from, "from", "", "first time")
		cmd.Flags().StringVar(&to, "to", "", "time to stop before; now when not given")
	}
	list := &cobra.Command{
		Use:   "list --from TIME",
		Short: "List the events that are kept",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			first, last, err := times(from, to)
			if err != nil {
				return err
			}
			return with(cmd, func(ctx context.Context, db *catalog.DB) error {
				events, err := notify.Events(ctx, db, first, last)
				if err != nil {
					return err
				}
				return printEvents(cmd, *asJSON, events)
			})
		},
	}
	span(list)

	dead := &cobra.Command{
		Use:   "dead TARGET",
		Short: "List the events that a target was not told, and why",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, db *catalog.DB) error {
				events, err := notify.Dead(ctx, db, args[0])
				if err != nil {
					return err
				}
				return printEvents(cmd, *asJSON, events)
			})
		},
	}

	var r notify.Replay
	replay := &cobra.Command{
		Use:   "replay [EVENT-ID…] [--from TIME] [--dead]",
		Short: "Queue events to be delivered again",
		Long: `replay queues events again: those of the ids, or those of a time (--from, --to),
or those that were given up (--dead). Without --target all targets get them
that want their type and account.`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			given := 0
			for _, is := range []bool{len(args) > 0, from != "", r.Dead} {
				if is {
					given++
				}
			}
			if given != 1 {
				return errors.New("which events? Say their ids, or --from TIME, or --dead")
			}
			if r.IDs = args; from != "" {
				if r.From, r.To, err = times(from, to); err != nil {
					return err
				}
			}
			return with(cmd, func(ctx context.Context, db *catalog.DB) error {
				n, err := notify.Again(ctx, db, r)
				fmt.Fprintf(cmd.OutOrStdout(), "%d deliveries queued\n", n)
				return err
			})
		},
	}
	span(replay)
	replay.Flags().StringVar(&r.Target, "target", "", "name of the only target to deliver to")
	replay.Flags().BoolVar(&r.Dead, "dead", false, "the events that were given up")

	secret := &cobra.Command{
		Use:   "secret TARGET",
		Short: "Print the secret that was made to sign what a target gets",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, func(ctx context.Context, db *catalog.DB) error {
				s, err := notify.Secret(ctx, db, args[0])
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), s)
				return nil
			})
		},
	}
	cmd.AddCommand(targets, list, dead, replay, secret)
	return cmd
}

func printEvents(cmd *cobra.Command, asJSON bool, list []notify.Event) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), list)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tID\tTYPE\tSUBJECT\tREASON")
	for _, e := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Time.Format(time.RFC3339Nano), e.ID, e.Type, e.Subject, e.Reason)
	}
	return w.Flush()
}

// times reads --from and --to.
func times(from, to string) (first, last time.Time, err error) {
	if from == "" {
		return first, last, errors.New("since when? Say --from TIME")
	}
	for _, t := range []struct {
		text string
		into *time.Time
	}{{from, &first}, {to, &last}} {
		if t.text == "" {
			continue
		}
		if ago, err := time.ParseDuration(t.text); err == nil {
			*t.into = time.Now().Add(-ago)
		} else if *t.into, err = time.Parse(time.RFC3339, t.text); err != nil {
			return first, last, fmt.Errorf("%q is neither an RFC 3339 time nor a duration before now", t.text)
		}
	}
	return first, last, nil
}

// catalogFlag adds --data and returns what opens the catalog of that folder,
// also while a server runs on it.
func catalogFlag(cmd *cobra.Command) func(context.Context) (*catalog.DB, error) {
	data := cmd.PersistentFlags().String("data", os.Getenv("OPENAMS_DATA"), "data folder (or OPENAMS_DATA)")
	return func(ctx context.Context) (*catalog.DB, error) {
		if *data == "" {
			return nil, errors.New("which data folder? Say --data DIR (or OPENAMS_DATA)")
		}
		path := filepath.Join(*data, "openams.db")
		if _, err := os.Stat(path); err != nil { // a misspelt name must not make a catalog
			return nil, fmt.Errorf("there is no data folder %s", *data)
		}
		key, err := os.ReadFile(filepath.Join(*data, "secrets", "catalog.key"))
		if err != nil {
			return nil, err
		}
		if len(key) != 32 {
			return nil, fmt.Errorf("the catalog.key of %s is not a key of 32 bytes", *data)
		}
		return catalog.Open(ctx, catalog.Config{Path: path, Key: [32]byte(key)})
	}
}
