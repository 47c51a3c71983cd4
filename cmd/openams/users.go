package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// usersCommand keeps the people of a data folder. A running server sees each
// change at once.
func usersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "users",
		Short: "Keep the people who may sign in",
		Long: `users keeps the people who may sign in, on the page that az login and the portal
open or with a device code. Passwords are read from the terminal or from
standard input, never from the command line, where others could see them.
A server that runs on the data folder sees every change at once.`,
	}
	folder := folderFlag(cmd)
	asJSON := jsonFlag(cmd)

	var displayName string
	create := &cobra.Command{
		Use:   "create NAME --role ROLE",
		Short: "Let somebody sign in",
		Args:  cobra.ExactArgs(1),
	}
	assigned := assignmentFlags(create)
	create.Flags().StringVar(&displayName, "display-name", "", "name to show")
	newPassword := passwordFlag(create)
	create.RunE = func(cmd *cobra.Command, args []string) error {
		f, err := folder()
		if err != nil {
			return err
		}
		assignments, err := assigned()
		if err != nil {
			return err
		}
		password, err := newPassword()
		if err != nil {
			return err
		}
		p, err := f.CreatePerson(args[0], displayName, password, assignments)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), p)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "user %s, object id %s\n", p.Name, p.ID)
		return nil
	}
	password := &cobra.Command{
		Use:   "password NAME",
		Short: "Give somebody a new password; their refresh tokens end",
		Args:  cobra.ExactArgs(1),
	}
	changed := passwordFlag(password)
	password.RunE = func(_ *cobra.Command, args []string) error {
		f, err := folder()
		if err != nil {
			return err
		}
		text, err := changed()
		if err != nil {
			return err
		}
		return unknown("user", args[0], f.SetPassword(args[0], text))
	}
	remove := &cobra.Command{
		Use:   "delete NAME",
		Short: "Take somebody away; their tokens end",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := folder()
			if err != nil {
				return err
			}
			return unknown("user", args[0], f.DeletePerson(args[0]))
		},
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "List the people",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := folder()
			if err != nil {
				return err
			}
			all, err := f.People()
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tDISPLAY NAME\tOBJECT ID\tROLES")
			for _, p := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Name, p.DisplayName, p.ID, describe(p.Assignments))
			}
			return w.Flush()
		},
	}
	cmd.AddCommand(create, list, password, remove)
	return cmd
}

// passwordFlag adds --generate and returns what gets a password: made up and
// shown, typed twice on a terminal, or the first line of standard input.
func passwordFlag(cmd *cobra.Command) func() (string, error) {
	generate := cmd.Flags().Bool("generate", false, "make up a password and print it, instead of reading one from standard input")
	return func() (string, error) {
		if *generate {
			text := rand.Text()
			fmt.Fprintln(cmd.ErrOrStderr(), "password", text)
			return text, nil
		}
		in, ok := cmd.InOrStdin().(*os.File)
		if !ok || !term.IsTerminal(int(in.Fd())) {
			line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 1024)).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return "", err
			}
			return strings.TrimRight(line, "\r\n"), nil
		}
		var typed [2]string
		for i, prompt := range []string{"Password: ", "The same again: "} {
			fmt.Fprint(cmd.ErrOrStderr(), prompt)
			b, err := term.ReadPassword(int(in.Fd()))
			fmt.Fprintln(cmd.ErrOrStderr())
			if err != nil {
				return "", err
			}
			typed[i] = string(b)
		}
		if typed[0] != typed[1] {
			return "", errors.New("the two passwords are not the same")
		}
		return typed[0], nil
	}
}
