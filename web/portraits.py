"""The faces of this server: those that are built in, and those that people gave it."""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.caller import logger_of
from deployments.errors import AvatarError
from deployments.faces import FaceFinder
from deployments.faces.framing import framed
from deployments.types import AvatarCapabilities, AvatarCard, Frame, PortraitSource
from graph.stages import Stages
from web.catalogue import Catalogue
from web.faces import Faces
from web.ids import new_id
from web.library import Consent, Item, Library
from web.pictures import decode
from web.problems import RefusedError, not_found

logger = logger_of("avatar.web")

_LEAST_EYES_PX = 48.0  # between their outer corners: enlarged to the frame, it is just sharp enough
_PICTURE, _LANDMARKS = "picture.png", "landmarks.npy"


class Portraits:
    """Each is looked at once, when it is added. All of it is on the disk, so that any ingress
    process knows what another was given."""

    def __init__(
        self, library: Library, stages: Stages, catalogue: Catalogue, faces: Faces
    ) -> None:
        self._library, self._stand_ins = library, stages.stand_ins
        self._catalogue, self._faces = catalogue, faces
        self._examiner = _Examiner()
        self._behind: set[asyncio.Task[None]] = set()

    async def all(self) -> tuple[AvatarCard, ...]:
        """Those that can be asked for, the default one first."""
        facts = await self._catalogue.avatar()
        items = await asyncio.to_thread(self._library.items, "avatar")
        return (*await self._catalogue.portraits(), *(_card(item, facts) for item in items))

    async def find(self, avatar_id: str | None) -> AvatarCard:
        """The face with this id, or the default one.

        Raises:
            ProtocolError: ``not_found``.
        """
        for card in await self._catalogue.portraits():
            if avatar_id in (None, card.id):
                return card
        item = await asyncio.to_thread(self._library.find, "avatar", avatar_id or "")
        if item is None:
            raise not_found("avatar")
        return _card(item, await self._catalogue.avatar())

    async def chosen(self, avatar_id: str | None) -> AvatarCard:
        """The face that is to speak; what stands in for it is drawn meanwhile, if it is not there.

        Raises:
            ProtocolError: ``not_found``.
        """
        card = await self.find(avatar_id)
        if self._stand_ins is not None:
            self._begin(self._stand_ins.prepare(card.id))
        return card

    async def require_detector(self) -> None:
        """Raise where no face can be added.

        Raises:
            RefusedError: ``not_supported``, naming the command that changes that.
        """
        if why_not := await self._catalogue.why_no_portraits():
            raise RefusedError(why_not, code="not_supported")

    async def examined(self, data: bytes, name: str, max_pixels: int) -> PortraitSource:
        """An upload as a picture that can be animated, in the frame of this profile.

        Raises:
            ProtocolError: ``unsupported_media`` or ``too_large``.
            UnusableInputError: ``no_face``, ``many_faces`` or ``too_small``.
        """
        facts = await self._catalogue.avatar()
        picture, landmarks = await self._examiner.look(data, max_pixels, facts)
        return PortraitSource(new_id(), name, picture, landmarks, builtin=False)

    async def add(self, source: PortraitSource, consent: Consent) -> AvatarCard:
        """Keep a face; it can be asked for at once.

        Raises:
            UnusableInputError: the engine cannot animate it.
            RefusedError: ``disk_full``.
            StageError: drawing failed.
        """
        thumbnail = await self._faces.first_thumbnail(source)  # the engine says here if it cannot
        item = await asyncio.to_thread(_keep, self._library, source, consent, thumbnail)
        card = _card(item, await self._catalogue.avatar())
        self._begin(self._faces.idle(card))
        await self.chosen(card.id)
        return card

    async def delete(self, avatar_id: str) -> bool:
        """Erase a face that somebody added, its picture and consent; ``False`` if there is none.
        Replicas drop it when it has not been asked for in a while."""
        is_deleted = await asyncio.to_thread(self._library.delete, "avatar", avatar_id)
        if is_deleted and self._stand_ins is not None:
            self._stand_ins.forget(avatar_id)
        return is_deleted

    async def forget_deleted(self) -> None:
        """Forget the faces at rest of those that another process has deleted."""
        if self._stand_ins is not None:
            items = await asyncio.to_thread(self._library.items, "avatar")
            builtin = {card.id for card in await self._catalogue.portraits()}
            self._stand_ins.keep_only(builtin | {item.id for item in items})

    def _begin(self, work: Awaitable[object]) -> None:
        """Have it done while nobody waits for it."""
        task = asyncio.create_task(_logged(work))
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)


class _Examiner:
    """Looks at one picture at a time: a large one takes 0.2 GB and a core for a moment."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "pictures")
        self._finder: FaceFinder | None = None

    async def look(
        self, data: bytes, max_pixels: int, facts: AvatarCapabilities
    ) -> tuple[Frame, NDArray[np.float32]]:
        """The picture cut to the frame, and the landmarks of its face."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._look, data, max_pixels, facts)

    def _look(
        self, data: bytes, max_pixels: int, facts: AvatarCapabilities
    ) -> tuple[Frame, NDArray[np.float32]]:
        picture = decode(data, max_pixels)
        if self._finder is None:
            self._finder = FaceFinder()
        upright, face = self._finder.find(picture, _LEAST_EYES_PX)
        return framed(upright, face.landmarks, facts.width_px, facts.height_px)


async def find_portrait(library: Library, avatar_id: str) -> PortraitSource | None:
    """The picture that somebody added, for replicas that lack it; see ``graph.portraits``."""
    return await asyncio.to_thread(_read, library, avatar_id)


def _keep(
    library: Library, source: PortraitSource, consent: Consent, thumbnail: tuple[str, bytes]
) -> Item:
    """``thumbnail``: its file's name and what is in it."""
    _, png = cv2.imencode(".png", source.image)
    landmarks = BytesIO()
    np.save(landmarks, np.asarray(source.landmarks), allow_pickle=False)
    files = dict([thumbnail])
    files |= {_PICTURE: np.asarray(png).tobytes(), _LANDMARKS: landmarks.getvalue()}
    return library.add("avatar", source.name, consent, facts={}, files=files, item_id=source.id)


def _read(library: Library, avatar_id: str) -> PortraitSource | None:
    item = library.find("avatar", avatar_id)
    picture = library.read("avatar", avatar_id, _PICTURE)
    landmarks = library.read("avatar", avatar_id, _LANDMARKS)
    if item is None or picture is None or landmarks is None:
        return None
    return PortraitSource(
        item.id,
        item.name,
        np.asarray(cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR), np.uint8),
        np.load(BytesIO(landmarks), allow_pickle=False),
        builtin=False,
    )


def _card(item: Item, facts: AvatarCapabilities) -> AvatarCard:
    return AvatarCard(item.id, item.name, facts.width_px, facts.height_px, builtin=False)


async def _logged(work: Awaitable[object]) -> None:
    try:
        await work
    except AvatarError as error:
        logger.warning("a face was not drawn ahead: %s", type(error).__name__)
