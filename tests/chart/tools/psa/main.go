// Command psa reads a JSON list of pods (or of any objects with a pod's metadata and spec) on standard input and
// prints, as a JSON list in the same order, what each violates of the Pod Security level "restricted", latest version.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// violation is one failed check: its name as documented, and what in the pod fails it.
type violation struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

func evaluate(pods []corev1.Pod) ([][]violation, error) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		return nil, err
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	answer := make([][]violation, len(pods))
	for i, pod := range pods {
		answer[i] = []violation{}
		for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				answer[i] = append(answer[i], violation{result.ForbiddenReason, result.ForbiddenDetail})
			}
		}
	}
	return answer, nil
}

func run(input io.Reader, output io.Writer) error {
	var pods []corev1.Pod
	decoder := json.NewDecoder(input)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&pods); err != nil {
		return fmt.Errorf("a JSON list of pods is wanted on standard input: %w", err)
	}
	answer, err := evaluate(pods)
	if err != nil {
		return err
	}
	return json.NewEncoder(output).Encode(answer)
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "psa:", err)
		os.Exit(1)
	}
}
