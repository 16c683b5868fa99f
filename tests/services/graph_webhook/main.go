// What KServe's own webhook says of InferenceGraphs: a JSON list of them on standard input, a JSON list of its errors
// (empty where it accepts) on standard output. Its versions are those of the router.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/kserve/kserve/pkg/apis/serving/v1alpha1"
)

func main() {
	var graphs []v1alpha1.InferenceGraph
	if err := json.NewDecoder(os.Stdin).Decode(&graphs); err != nil {
		log.Fatal(err)
	}
	said := make([]string, len(graphs))
	for i := range graphs {
		if _, err := (&v1alpha1.InferenceGraphValidator{}).ValidateCreate(context.Background(), &graphs[i]); err != nil {
			said[i] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		log.Fatal(err)
	}
}
