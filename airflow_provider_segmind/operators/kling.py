"""Turn an image into a video with Kling O1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_segmind.api import kling
from airflow_provider_segmind.api.output import video_url
from airflow_provider_segmind.arguments import is_literal, with_paths_as_text
from airflow_provider_segmind.operators.inference import SegmindInferenceOperator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_segmind.api.answers import RequestReport


class KlingImageToVideoOperator(SegmindInferenceOperator):
    """
    Turn an image into a video with Kling O1: about 145 s and 0.91 USD each (Segmind's page of the model).

    Waits without holding a worker slot, and returns the **URL of the video**: public, in no need of a key, and
    deleted by Segmind after seven days. How it waits, fails and what else it pushes to XCom is described at
    :class:`~airflow_provider_segmind.operators.inference.SegmindInferenceOperator`.

    Wrong values fail when the DAG is parsed, or after rendering if they are templates; always before Segmind is
    asked.

    :param prompt: What happens between the first and the last frame.
    :param start_image_url: First frame: an absolute http(s) URL that Segmind can fetch; or an object-storage URI
        (``s3://…``, ``gs://…``, ``file:///…``) or an absolute path on the worker, whose image is uploaded.
    :param end_image_url: Last frame, likewise; left to the model if not given.
    :param duration: Seconds of video, 5 or 10.
    :raises InvalidParameterError: If one of these is wrong. It names the parameter.
    """

    template_fields: Sequence[str] = (
        *kling.CHECKS,
        *(
            name
            for name in SegmindInferenceOperator.template_fields
            if name not in ("model", "parameters", "upload")
        ),
    )

    text_fields = (*SegmindInferenceOperator.text_fields, "prompt", *kling.IMAGES)

    def __init__(
        self,
        *,
        prompt: str,
        start_image_url: str,
        end_image_url: str | None = None,
        duration: int | str = 5,
        **kwargs: Any,
    ) -> None:
        self.prompt = prompt
        self.start_image_url = with_paths_as_text(start_image_url)
        self.end_image_url = with_paths_as_text(end_image_url)
        self.duration = duration
        super().__init__(model=kling.MODEL, parameters={}, **kwargs)
        self.upload = kling.IMAGES

    def checked_parameters(self) -> Mapping[str, Any]:
        """Return the four parameters as Segmind wants them."""
        return kling.checked_parameters({name: getattr(self, name) for name in kling.CHECKS})

    def output_of(self, result: RequestReport) -> str:
        """Return the URL of the video."""
        return video_url(result)

    def _names_of_parameters(self) -> Sequence[str]:
        return kling.IMAGES

    def _check_literals(self) -> None:
        super()._check_literals()
        for name, check in kling.CHECKS.items():
            if is_literal(value := getattr(self, name)):
                check(value)
