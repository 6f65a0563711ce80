package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dnngen/dnngen/runtime/fsys"
	"github.com/dnngen/dnngen/templates"
)

// scaffoldDir is where the starter project stands in templates.Scaffold.
const scaffoldDir = "scaffold"

func initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Make a commented starter project",
		Long: `init makes a directory with a spec that explains every section, on built-in data,
and a README. It overwrites nothing.`,
		Example: "  dnngen init starter && dnngen run starter/net.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return usageError(cmd, "init needs one directory")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := scaffold(cmd.OutOrStdout(), args[0]); err != nil {
				return fileError(err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "next: %s run %s\n", self(), quoted(filepath.Join(args[0], "net.yaml")))
			return nil
		},
	}
}

// scaffold writes the starter project to dir, all of it or, where one of its
// files is there already, nothing.
func scaffold(out io.Writer, dir string) error {
	files, err := templates.Scaffold.ReadDir(scaffoldDir)
	if err != nil {
		return err
	}
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("%s is there already and is left as it is; choose another directory", name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	disk := fsys.OS()
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	for _, f := range files {
		content, err := templates.Scaffold.ReadFile(scaffoldDir + "/" + f.Name())
		if err != nil {
			return err
		}
		name := filepath.Join(dir, f.Name())
		err = fsys.WriteAtomic(disk, name, func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "wrote %s\n", name); err != nil {
			return err
		}
	}
	return nil
}
